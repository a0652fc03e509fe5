"""The command `certchain`, asked for its opinion of what this client has judged."""

import json
import subprocess
import tempfile
from pathlib import Path


class RustClient:
    def __init__(self, program: str, genesis: str):
        self.program, self.genesis = program, genesis
        self.folder = tempfile.TemporaryDirectory()

    def can_check(self) -> bool:
        asked = [self.program, "check", "--help"]
        done = subprocess.run(asked, capture_output=True, text=True)
        return done.returncode == 0 and "--offline" in done.stdout

    def check(self, pack: bytes, text: str = None, holder: str = None):
        """The result that the command reads out of a pack, in its own words; None if it refuses.

        `text` is what the holder shows with it, for whoever bears it; `holder` names one of several.
        """
        file = Path(self.folder.name) / "pack"
        file.write_bytes(pack)
        command = [self.program, "--json", "check", "--offline", file, "--genesis", self.genesis]
        if text is not None:
            command += ["--text", "-"]
        if holder is not None:
            command += ["--holder", holder]
        done = subprocess.run(command, input=text or "", capture_output=True, text=True)
        if done.returncode < 0 or done.returncode in (2, 101):
            raise ValueError(f"{command} ended with {done.returncode}: {done.stderr}")
        if not done.stdout.strip():
            return None
        answer = json.loads(done.stdout)
        if answer.get("verified") is not True:
            raise ValueError(f"{command} neither refuses nor verifies: {answer}")
        return answer["result"]
