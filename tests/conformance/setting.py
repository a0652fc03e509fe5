"""Which network the scripts about certificates work with, and whose keys they have.

Everything comes from a development network's devnet.json, or is named option by option.
"""

import argparse
import json
from pathlib import Path

from certchain import chain, sidechain
from certchain.client import Client, Party
from certchain.rpc import Node
from certchain.rust_client import RustClient
from certchain.steps import MUTATIONS

SEED = "64 hexadecimal digits"


def arguments(description: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--devnet", type=Path, metavar="FILE",
                        help="devnet.json of config/devnet/launch.sh, which names all that follows")
    parser.add_argument("--grpc", metavar="HOST:PORT", help="a node; with --devnet: not the first")
    parser.add_argument("--genesis", type=Path, metavar="FILE")
    parser.add_argument("--agency-seed", type=Path, metavar="FILE",
                        help=f"Ed25519 seed of the agency that certifies identities, {SEED}")
    parser.add_argument("--registrar-seed", type=Path, metavar="FILE", help="the registrar's")
    parser.add_argument("--issuer-seed", type=Path, metavar="FILE", nargs="+", default=[],
                        help="of agencies of genesis that issue certificates; types that none of "
                        "them may issue are issued by the certifying agency")
    for party in ("verifier", "other-verifier"):
        parser.add_argument(f"--{party}-seed", type=Path, metavar="FILE",
                            help="of a registered verifier; left out: one is registered")
    parser.add_argument("--verifier-encryption-secret", type=Path, metavar="FILE",
                        help=f"the first verifier's X25519 secret key, {SEED}; needed with its seed")
    parser.add_argument("--client", metavar="PROGRAM",
                        help="the command certchain, whose judgement is compared")
    parser.add_argument("--comparisons", type=int, metavar="NUMBER", default=MUTATIONS,
                        help="of mutated packs and presentations with that command's judgement "
                        f"(each starts it; {MUTATIONS} if left out)")
    parser.add_argument("--without-client", action="store_true",
                        help="do not compare with the command that devnet.json names")
    return parser


def read_arguments(parser):
    args = parser.parse_args()
    named = [args.genesis, args.agency_seed, args.registrar_seed, args.verifier_seed,
             args.other_verifier_seed, *args.issuer_seed]
    if args.devnet and any(named):
        parser.error("--devnet names genesis and keys: leave them out")
    if not args.devnet and not all([args.grpc, args.genesis, args.agency_seed,
                                    args.registrar_seed]):
        parser.error("--grpc, --genesis, --agency-seed and --registrar-seed are needed, or --devnet")
    if args.comparisons < 1:
        parser.error("--comparisons takes a number from 1")
    if bool(args.verifier_seed) != bool(args.verifier_encryption_secret):
        parser.error("--verifier-seed and --verifier-encryption-secret go together")
    return args


def secret(file: Path) -> bytes:
    """What a file holds as hexadecimal digits."""
    content = bytes.fromhex(file.read_text().strip())
    if len(content) != 32:
        raise ValueError(f"{file} does not hold {SEED}")
    return content


def party(seed: Path, encryption_secret: Path = None):
    """The account with this seed; None if there is no seed."""
    if seed is None:
        return None
    return Party(secret(seed), encryption_secret and secret(encryption_secret))


class Setting:
    """A node, the genesis file alone to judge it by, and the parties."""

    def __init__(self, args):
        self.genesis_file, self.client_program = args.genesis, args.client
        if args.devnet:
            self.of_devnet(args, json.loads(args.devnet.read_text()))
        else:
            self.grpc = args.grpc
            self.agency, self.registrar = party(args.agency_seed), party(args.registrar_seed)
            issuers = [party(seed) for seed in args.issuer_seed]
            self.verifier = party(args.verifier_seed, args.verifier_encryption_secret)
            self.other_verifier = party(args.other_verifier_seed)
            self.issuers = [*issuers, self.agency]
        self.network = sidechain.Network(chain.Genesis(self.genesis_file.read_text()))
        self.accredited = {key: agency["may_issue"] for agency in
                           self.network.genesis.content["agencies"]
                           for key in [bytes.fromhex(agency["public_key"])]}

    def of_devnet(self, args, devnet: dict):
        accounts = devnet["accounts"]
        self.grpc = args.grpc or devnet["nodes"][0]["grpc"]
        self.genesis_file = Path(devnet["genesis"])
        if not args.without_client:
            self.client_program = args.client or devnet["programs"]["certchain"]
        self.agency = Party.of_devnet(accounts["agency"])
        self.registrar = Party.of_devnet(accounts["registrar"])
        self.issuers = [Party.of_devnet(entry) for entry in accounts["agencies"]]
        self.verifier, self.other_verifier = map(Party.of_devnet, accounts["verifiers"][:2])

    def issuer(self, type_name: str) -> Party:
        """The first agency that genesis lets issue certificates of the type."""
        for one in self.issuers:
            if type_name in self.accredited.get(one.public, []):
                return one
        raise ValueError(f"none of the given agencies may issue '{type_name}'")

    def connect(self) -> Client:
        return Client(Node(self.grpc), self.network)

    def rust(self):
        """The command certchain, if one is named; raises if it cannot check."""
        if not self.client_program:
            return None
        command = RustClient(self.client_program, str(self.genesis_file))
        if not command.can_check():
            raise ValueError(f"{self.client_program} has no `check --offline`")
        return command
