//! J-3 and J-4: what records come to, and what of them a rewritten journal keeps.

use certchain_consensus::{Message, Promises, Record};
use certchain_proto::{BlockHeader, Height, View};

use crate::sandbox::{Sandbox, commit, outcome, prepare, prepared, view_change};

fn signed(message: Message) -> Record {
    Record::Signed(Box::new(message))
}

fn named(header: &BlockHeader) -> Record {
    Record::Header(Box::new(header.clone()))
}

fn certified(view: u32, header: &BlockHeader, by: &[usize]) -> Record {
    Record::Prepared(Box::new(prepared(view, header, by)))
}

fn asked(view: u32) -> Record {
    signed(Message::ViewChange(view_change(1, 1, view, None)))
}

fn replay(records: &[Record]) -> Promises {
    Promises::replay(records).expect("they do not contradict each other")
}

#[test]
fn j_3_nothing_at_or_below_the_floor_is_a_promise() {
    let header = Sandbox::new(1).header(0, 1);
    let kinds = [
        signed(prepare(1, 0, &header)),
        named(&header),
        certified(0, &header, &[0, 1, 2]),
    ];
    let height = Height::new(1);
    for record in kinds {
        let at = |floor| {
            let floor = Record::Sealed {
                height: Height::new(floor),
            };
            replay(&[floor, record.clone()]).height(height).is_some()
        };
        assert!(at(0), "{record:?}");
        assert!(!at(1) && !at(2), "{record:?}");
    }
}

#[test]
fn j_3_the_first_certificate_of_the_highest_view_counts() {
    let header = Sandbox::new(1).header(0, 1);
    let records = [
        certified(1, &header, &[0, 1, 2]),
        certified(0, &header, &[0, 1, 2]),
        certified(2, &header, &[0, 1, 2]),
        certified(2, &header, &[1, 2, 3]),
    ];
    let promises = replay(&records);
    let height = promises.height(Height::new(1)).unwrap();
    assert_eq!(height.prepared(), Some(&prepared(2, &header, &[0, 1, 2])));
}

#[test]
fn j_3_a_record_that_stands_twice_says_the_same() {
    let header = Sandbox::new(1).header(0, 1);
    let vote = signed(prepare(1, 0, &header));
    assert_eq!(replay(&[vote.clone(), vote.clone()]), replay(&[vote]));
    // A COMMIT for one outcome of a block in two views is no contradiction.
    let twice = [0, 3].map(|view| signed(commit(1, view, &header, &outcome(1))));
    let promises = replay(&twice);
    assert_eq!(
        promises.height(Height::new(1)).unwrap().view(),
        View::new(3)
    );
}

#[test]
fn j_3_amnesia_lasts_until_it_is_cleared() {
    let nonce = [5; 32];
    let lost = Record::Amnesia { nonce };
    let promises = replay(std::slice::from_ref(&lost));
    assert_eq!(promises.amnesia(), Some(nonce));
    let height = Height::new(3);
    let promises = replay(&[lost, Record::Cleared { height }]);
    assert_eq!((promises.amnesia(), promises.floor()), (None, height));
}

/// One journal over many views, and each record of it that is left.
#[test]
fn j_4_what_binds_and_nothing_else_is_kept() {
    let s = Sandbox::new(1);
    // Blocks a, b and c; votes for a in view 0, for b in view 2, for c from view 3 on.
    let [a, b, c] = [1, 2, 3].map(|count| s.header(0, count));
    let votes = |view, header: &BlockHeader| {
        [
            signed(prepare(1, view, header)),
            signed(commit(1, view, header, &outcome(1))),
        ]
    };
    let mut records = vec![named(&a), named(&b), named(&c)];
    records.extend(votes(0, &a));
    records.push(asked(1));
    records.push(asked(2));
    records.extend(votes(2, &b));
    for view in 3..8 {
        records.push(asked(view));
        records.extend(votes(view, &c));
    }
    records.push(certified(7, &c, &[0, 1, 2]));
    // A block of which nothing is left but that it was voted for in a view that is over.
    let d = s.header(0, 4);
    records.insert(0, named(&d));
    records.push(signed(prepare(1, 1, &d)));
    let nonce = [5; 32];
    records.push(Record::Amnesia { nonce });

    let floor = Record::Sealed {
        height: Height::ZERO,
    };
    let mut expected = vec![floor, Record::Amnesia { nonce }];
    let mut headers = [a.clone(), b.clone(), c.clone()];
    headers.sort_by_key(BlockHeader::digest);
    expected.extend(headers.iter().map(named));
    expected.push(certified(7, &c, &[0, 1, 2]));
    // A COMMIT for each block, whatever its view, and of the many for c the newest; all of view 7.
    expected.push(signed(commit(1, 0, &a, &outcome(1))));
    expected.push(signed(commit(1, 2, &b, &outcome(1))));
    for view in 4..7 {
        expected.push(signed(commit(1, view, &c, &outcome(1))));
    }
    expected.extend(votes(7, &c));
    expected.push(asked(7));
    assert_eq!(replay(&records).live_records(), expected);
    // It comes to the same once more, and the highest request stays though a vote is higher.
    assert_eq!(replay(&expected).live_records(), expected);
    let higher = [asked(4), signed(prepare(1, 6, &c)), asked(3)];
    let live = replay(&higher).live_records();
    assert_eq!(live[1..], [asked(4), signed(prepare(1, 6, &c))]);
}
