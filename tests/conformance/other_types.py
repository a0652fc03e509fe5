"""Marriages, property titles, business licences and health certificates: what sets each type apart,
and a pack of each. Each story gives the ids of its certificates."""

import os
import time

from certchain import address, fields
from certchain.client import Party
from certchain.steps import expect, refusal, say

from off_line import mutate
from office import DAY_MS, ORGANISATION, Issued, Office

TAKEN = "CODE_CLAIM_TAKEN"
# Fewer than of a degree's packs: they differ in their holders alone.
MUTATIONS = 200
# Long enough to be issued and accepted.
SHORT_MS = 15_000


def prove(office: Office, rust, issued: Issued, holder: Party, height: int, expected="Valid"):
    """A pack proves it off line, to this program and, if there is one, to the command certchain."""
    encoded = office.pack(issued, holder, height, expected)
    count = mutate(office.network, encoded, MUTATIONS)
    if rust:
        shown_by = rust.check(encoded, holder=address.to_text(holder.address))
        expect("the command's result", expected.lower(), shown_by)
    say(f"{issued.type_name}: refused: {count} mutated packs, and the pack under other validators"
        + ("; the command certchain agrees about the pack" if rust else ""))


# Marriages: two holders, both of whom consent, and neither of whom is married already.


def wedding(first: Party, second: Party) -> dict:
    return {"spouse_a": address.to_text(first.address), "spouse_b": address.to_text(second.address),
            "registered_on": "2026-05-20", "office": "民政局, Office 3"}


def marry(office: Office, first: Party, second: Party) -> Issued:
    return office.issue("marriage", [first, second], wedding(first, second), consent=True)


def refuse_weddings(office: Office, first: Party, second: Party):
    """Without the consent of both, and with one holder, there is no marriage."""
    issuer, values = office.setting.issuer("marriage"), wedding(first, second)

    def refused(what, code, holders, *signing, **more):
        draft, _, _ = office.draft("marriage", issuer, holders, values)
        expect(what, code, refusal(office.send, "marriage", draft, issuer, *signing, **more))

    both = [first, second]
    refused("without consent", "CODE_BAD_FIELD", both)
    refused("with no signature of those who consent", "CODE_MISSING_SIGNER", both, holders_sign=True)
    refused("with the consent of one", "CODE_MISSING_SIGNER", both, first)
    refused("signed in another order", "CODE_MISSING_SIGNER", both, second, first)
    refused("signed by another", "CODE_WRONG_KEY", both, first, Party.new())
    refused("of one alone", "CODE_BAD_FIELD", [first], first)
    refused("with oneself", "CODE_BAD_FIELD", [first, first], first)


def marriages(office: Office, rust) -> dict:
    ada, ben, cleo = (office.register(f"{name} Conformance") for name in ("Ada", "Ben", "Cleo"))
    refuse_weddings(office, ada, ben)
    issued = marry(office, ada, ben)
    for spouse in (ada, ben):
        office.receive(issued, spouse)
        expect("who is married", issued.name, office.claimed(issued, spouse.address))
    office.check(issued, ada, ["registered_on"], "NotAccepted")
    office.accept(issued, ada, "Issued")
    office.check(issued, ada, ["registered_on"], "NotAccepted")
    accepted = office.accept(issued, ben)
    office.check(issued, ben, ["spouse_a", "spouse_b"], "Valid")
    say("married two who both signed and both accepted; refused: without consent, or of one alone")

    for pair in ((ben, cleo), (cleo, ada)):
        expect("a second marriage", TAKEN, refusal(marry, office, *pair))
    expect("who is married", None, office.claimed(issued, cleo.address))
    prove(office, rust, issued, ben, accepted.height)

    revoked = office.revoke(issued)
    for spouse in (ada, ben):
        expect("who is married", None, office.claimed(issued, spouse.address))
    again = marry(office, ben, cleo)
    expect("who is married", again.name, office.claimed(again, ben.address))
    say(f"refused a second marriage of either; revoked in block {revoked.height}, and one married "
        f"again in block {again.height}")
    return {"marriage": issued.name, "second marriage": again.name}


# Titles: a parcel has one at a time.


def title(office: Office, holder: Party, parcel: str) -> Issued:
    values = {"parcel": parcel, "location": "Pudong, Shanghai", "area_cm2": "1200000",
              "use": "residential", "term_ends": "2090-02-28"}
    return office.issue("property", [holder], values, claim=fields.property_claim(parcel))


def refuse_titles(office: Office, holder: Party):
    """The draft must name what it claims."""
    issuer = office.setting.issuer("property")
    values = {"parcel": "浦东-0042", "location": "Pudong", "area_cm2": "1", "use": "none"}
    for what, claim in (("without a claim", b""), ("with a short claim", os.urandom(31))):
        draft, _, _ = office.draft("property", issuer, [holder], values, claim=claim)
        expect(what, "CODE_BAD_FIELD", refusal(office.send, "property", draft, issuer))


def titles(office: Office, rust) -> dict:
    seller, buyer = (office.register(f"{name} Conformance") for name in ("Dong", "Eva"))
    parcel = f"浦东-{os.urandom(4).hex()}"
    claim = fields.property_claim(parcel)
    refuse_titles(office, seller)
    issued = title(office, seller, parcel)
    expect("whose the parcel is", issued.name, office.claimed(issued, claim))
    office.receive(issued, seller)
    accepted = office.accept(issued, seller)
    office.check(issued, seller, ["parcel", "term_ends"], "Valid")
    expect("a second title", TAKEN, refusal(title, office, buyer, parcel))
    expect("a second title of the same owner", TAKEN, refusal(title, office, seller, parcel))
    other = title(office, buyer, f"{parcel}-B")
    expect("serial", issued.serial + 1, other.serial)
    expect("declined after it was accepted", "CODE_WRONG_STATUS",
           refusal(office.decline, issued, seller))
    office.decline(other, buyer)
    expect("whose the other parcel is", None,
           office.claimed(other, fields.property_claim(f"{parcel}-B")))
    office.check(other, buyer, ["parcel"], "Declined")
    prove(office, rust, issued, seller, accepted.height)

    revoked = office.revoke(issued)
    expect("whose the parcel is", None, office.claimed(issued, claim))
    again = title(office, buyer, parcel)
    expect("whose the parcel is", again.name, office.claimed(again, claim))
    taken = office.accept(again, buyer)
    office.check(again, buyer, ["parcel"], "Valid")
    office.check(issued, seller, ["parcel"], "Revoked")
    say(f"refused a second title for a parcel; one declined; the first revoked in block "
        f"{revoked.height}, the parcel has a new owner in block {taken.height}")
    return {"title": issued.name, "title of another parcel": other.name, "next title": again.name}


# Licences: for a year.


def licences(office: Office, rust) -> dict:
    owner, cook = office.register("Company Ltd", ORGANISATION), office.register("Fay Conformance")
    values = {"company": "Conformance Ltd 公司", "capital": "5000000", "scope": "tests",
              "legal_representative": address.to_text(cook.address)}
    company = licence(office, rust, "business_licence", owner, values, ["company", "capital"])
    values = {"occupation": "cook", "examined_on": "2026-06-01", "clinic": "Clinic 7"}
    health = licence(office, rust, "health_certificate", cook, values, ["occupation"])
    other_times(office, cook, values)
    return {"business_licence": company.name, "health_certificate": health.name}


def licence(office: Office, rust, type_name: str, holder: Party, values, shown) -> Issued:
    issued = office.issue(type_name, [holder], values)
    office.receive(issued, holder)
    office.check(issued, holder, shown, "NotAccepted")
    accepted = office.accept(issued, holder)
    office.check(issued, holder, shown, "Valid")
    prove(office, rust, issued, holder, accepted.height)
    return issued


def other_times(office: Office, holder: Party, values: dict):
    """One whose time has not come, one whose time is soon over, one that would last too long."""
    type_name = "health_certificate"
    keeper, issuer = office.network.types[type_name]["chain"], office.setting.issuer(type_name)

    def later(duration_ms: int) -> int:
        return office.client.now(keeper)[0] + duration_ms

    early = office.issue(type_name, [holder], values, valid_from_ms=later(DAY_MS))
    office.accept(early, holder)
    office.check(early, holder, ["clinic"], "NotYetValid")
    # The check has made a block of now.
    short = office.issue(type_name, [holder], values, valid_until_ms=later(SHORT_MS))
    office.accept(short, holder)
    # Block time is that of the nodes' clocks, which are this machine's.
    time.sleep(SHORT_MS / 1000)
    office.check(short, holder, ["clinic"], "Expired")
    draft, _, _ = office.draft(type_name, issuer, [holder], values,
                               valid_until_ms=later(400 * DAY_MS))
    expect("longer than the catalogue says", "CODE_BAD_FIELD",
           refusal(office.send, keeper, draft, issuer))
    say("health_certificate: one is valid from tomorrow, one has expired; one for 400 days is refused")
