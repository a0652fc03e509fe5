#!/usr/bin/env python3
"""The lives of certificates of every type, told by a program that believes no answer.

Registers people, issues a degree, receives and accepts it, shows it to a verifier who records
checks, revokes it, and verifies packs of it off line; then a marriage, property titles, a business
licence and a health certificate. Each step follows docs/formats.md and the .proto files alone and is
checked against the genesis file alone. Exit 0 only if everything held; the last line of the output
is one JSON object.
"""

import json
import sys
from pathlib import Path

from certchain import sidechain
from certchain.rpc import Refused
from certchain.steps import expect, say

from degree import Degree
from office import Office, named
from other_types import licences, marriages, titles
from setting import Setting, arguments, read_arguments

KINDS = dict(text=1, date=2, number=3, address=4)


def check_network(office: Office):
    """Ids and first blocks of all chains, and the catalogue, follow from the genesis file."""
    client, network = office.client, office.network
    first = network.blocks
    for name in ["main", *sidechain.NAMES]:
        expect(f"id of {name}", network.id(name), client.call("GetStatus", chain=name).chain_id)
        zero = client.call("GetBlock", chain=name, height=0, header_only=True).block.header
        expect(f"first block of {name}",
               (first[name]["header"], first[name]["outcome"], first[name]["id"]),
               (zero.encoded_header, zero.encoded_outcome, zero.block_id))
        if client.call("GetStatus", chain=name).height:
            answer = client.call("GetHistoryProof", chain=name, height=0)
            expect(f"first block of {name}", first[name]["id"], answer.block_id)
            client.block(name, answer.block).prove_earlier(answer.block_id, answer.proof)
    told = {one.name: one for one in client.call("GetCatalogue").types}
    expect("types", set(network.types), set(told))
    for name, known in network.types.items():
        check_type(network, known, told[name])
    say("the genesis file gives the ids and first blocks of all six chains, and the catalogue")


def check_type(network, known: dict, told):
    name, keeper = known["name"], known["chain"]
    expect(f"type {name}", (keeper, network.sides[keeper], known["validity_days"] or 0),
           (told.chain, told.chain_id, told.validity_days))
    expect(f"fields of {name}",
           [(f["name"], f["title"], KINDS[f["kind"]], f["max_bytes"], f["required"])
            for f in known["fields"]],
           [(f.name, f.title, f.kind, f.max_bytes, f.required) for f in told.fields])


def degrees(office: Office, rust, args) -> Degree:
    story = Degree(office)
    story.issue()
    story.receive()
    story.check("NotAccepted")
    story.accept()
    story.refuse_checks(story.check("Valid"))
    pack = story.pack(story.accepted_height, "Valid")
    story.mutate(pack)
    older = story.older_pack(pack)
    if rust:
        story.compare(rust, pack, older, args.comparisons)
    story.batch()
    story.revoke()
    story.check("Revoked")
    last = story.pack(story.revoked_height, "Revoked")
    story.mutate(last)
    story.by_held_block(pack)
    if args.save:
        story.save(args.save, office.setting.genesis_file, {"Valid": pack, "Revoked": last})
    return story


def main():
    parser = arguments(__doc__.splitlines()[0])
    parser.add_argument("--save", type=Path, metavar="DIR",
                        help="keep genesis and packs as a recording for check_parts.py")
    args = read_arguments(parser)
    setting = Setting(args)
    rust = setting.rust()
    office = Office(setting)
    check_network(office)
    story = degrees(office, rust, args)
    others = [told(office, rust) for told in (marriages, titles, licences)]
    print(json.dumps({
        "ok": True,
        "main": office.network.main.hex(),
        "chain": story.side.hex(),
        "holder": named(story.holder),
        "certificate": story.issued.name.hex(),
        "others": {name: certificate.hex() for told in others for name, certificate in told.items()},
    }))


if __name__ == "__main__":
    try:
        main()
    except (Refused, ValueError, OSError) as error:
        sys.exit(f"failed: {error}")
