//! Packs that prove the story's degree, by each of the three links.

use certchain_ledger::evidence::SealedHeader;
use certchain_proto::{TimeMs, codec};
use certchain_sidechain::{
    certificate::CheckResult,
    pack::{MainLink, MainTrust, Pack},
};
use serde_json::{Value, json};

use crate::{
    golden::{check, fields, hex},
    scenario::{START, address, genesis},
    story::{STUDENT, Story},
};

fn pack(what: &str, story: &Story, s: u64, link: MainLink, held: Option<u64>) -> Value {
    let pack = Pack::new(story.parts(s, 3, link)).unwrap();
    let encoded = pack.encode();
    assert_eq!(Pack::decode(&encoded).as_ref(), Ok(&pack));
    let trust = match held {
        None => MainTrust::validators(story.main.id, genesis().validator_set().clone()),
        Some(height) => MainTrust::block(story.main.verified(height)),
    };
    let proven = pack.verify(&trust).unwrap();
    assert_eq!(proven.certificate, story.certificate);
    let now = TimeMs::new(START + 30_000);
    let result = proven.result(&address(STUDENT), now).unwrap();
    assert_eq!(result, CheckResult::Valid);
    let held = held.map(|height| {
        let SealedHeader {
            header, outcome, ..
        } = &story.main.blocks[height as usize];
        json!({
            "encoded_header": hex(codec::encode(header)),
            "encoded_outcome": hex(codec::encode(outcome)),
        })
    });
    json!({
        "what": what,
        "main": hex(story.main.id.as_bytes()),
        "held": held,
        "encoded": hex(encoded),
        "fields": fields(&pack),
        "proves": {
            "side_chain": proven.side_chain,
            "chain": hex(proven.chain.as_bytes()),
            "certificate": hex(proven.certificate.as_bytes()),
            "record": fields(&proven.record),
            "side_height": proven.side_height.get(),
            "side_time_ms": proven.side_time.get(),
            "anchored_height": proven.anchored_height.get(),
            "main_height": proven.main_height.get(),
            "main_block": hex(proven.main_block.as_bytes()),
            "main_time_ms": proven.main_time.get(),
            "holder": hex(address(STUDENT).as_bytes()),
            "at_ms": now.get(),
            "result": fields(&result),
        },
    })
}

#[test]
fn packs() {
    let story = Story::new();
    let certified = MainLink::Certificate(story.main.blocks[3].certificate.clone());
    let later = MainLink::Later(story.main.history(3, 4));
    check(
        "packs.json",
        &json!([
            pack(
                "for who knows main's validators",
                &story,
                3,
                certified,
                None
            ),
            pack(
                "for who holds that block of main",
                &story,
                2,
                MainLink::Held,
                Some(3)
            ),
            pack(
                "for who holds a later block of main",
                &story,
                3,
                later,
                Some(4)
            ),
        ]),
    );
}
