"""CertChain in another language: everything that docs/formats.md says, and nothing else.

Written from that document alone; shares no code with the Rust workspace, so that a vector that both
agree on is a format and not a habit of one program.
"""
