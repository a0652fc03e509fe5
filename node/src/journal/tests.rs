#![allow(clippy::unwrap_used, clippy::expect_used)]

use certchain_proto::Height;

use super::{
    files::{FRAME_HEADER, MAGIC, SEGMENT_HEADER, parse_segment},
    *,
};

const NONCE: [u8; 32] = [7; 32];

fn sealed(height: u64) -> Record {
    Record::Sealed {
        height: Height::new(height),
    }
}

fn cleared(height: u64) -> Record {
    Record::Cleared {
        height: Height::new(height),
    }
}

fn fresh() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    FileJournal::create(directory.path()).unwrap();
    directory
}

fn written(records: &[Record]) -> tempfile::TempDir {
    let directory = fresh();
    let mut journal = FileJournal::open(directory.path(), NONCE).unwrap().journal;
    for record in records {
        journal.append(std::slice::from_ref(record)).unwrap();
    }
    directory
}

fn segment_of(directory: &Path) -> PathBuf {
    let generation = read_head(directory).unwrap().unwrap().generation;
    segment_path(directory, generation)
}

#[test]
fn gives_back_what_was_written() {
    let directory = written(&[sealed(1), sealed(2)]);
    let opened = FileJournal::open(directory.path(), NONCE).unwrap();
    assert_eq!(opened.found, Found::Whole);
    assert_eq!(opened.records, [sealed(1), sealed(2)]);
}

#[test]
fn a_second_process_and_a_second_journal_are_refused() {
    let directory = fresh();
    let _first = FileJournal::open(directory.path(), NONCE).unwrap();
    let second = FileJournal::open(directory.path(), NONCE);
    assert!(matches!(second, Err(JournalOpenError::InUse(_))));
    drop(_first);
    let again = FileJournal::create(directory.path());
    assert!(matches!(again, Err(JournalOpenError::Exists(_))));
}

#[test]
fn a_journal_ahead_of_its_head_is_a_normal_crash_at_every_byte() {
    let directory = written(&[sealed(1)]);
    let head_before = fs::read(directory.path().join(HEAD_FILE)).unwrap();
    {
        let mut journal = FileJournal::open(directory.path(), NONCE).unwrap().journal;
        journal.append(&[sealed(2), sealed(3)]).unwrap();
    }
    let whole = fs::read(segment_of(directory.path())).unwrap();
    let end = whole.iter().rposition(|b| *b != 0).unwrap() + 1;
    let first_end = {
        let mut head = Head {
            update: 0,
            generation: 1,
            number: 0,
            hash: [0; 32],
        };
        SEGMENT_HEADER as usize + frames(&mut head, &[sealed(1)]).len()
    };
    for cut in (first_end..=end).step_by(3) {
        let mut torn = whole.clone();
        torn[cut..].fill(0);
        fs::write(segment_of(directory.path()), &torn).unwrap();
        fs::write(directory.path().join(HEAD_FILE), &head_before).unwrap();
        let opened = FileJournal::open(directory.path(), NONCE).unwrap();
        assert!(
            !matches!(opened.found, Found::Amnesia(_)),
            "cut at {cut}: {:?}",
            opened.found
        );
        let all = [sealed(1), sealed(2), sealed(3)];
        assert!(
            all.starts_with(&opened.records) && !opened.records.is_empty(),
            "cut at {cut}"
        );
        // What was kept is covered by the head now, and writing goes on.
        let mut journal = opened.journal;
        journal.append(&[sealed(9)]).unwrap();
        drop(journal);
        let again = FileJournal::open(directory.path(), NONCE).unwrap();
        assert_eq!(again.found, Found::Whole);
        assert_eq!(again.records.last(), Some(&sealed(9)));
        assert_eq!(again.records.len(), opened.records.len() + 1);
    }
}

#[test]
fn a_journal_behind_its_head_is_amnesia() {
    let directory = written(&[sealed(1)]);
    let older = fs::read(segment_of(directory.path())).unwrap();
    {
        let mut journal = FileJournal::open(directory.path(), NONCE).unwrap().journal;
        journal.append(&[sealed(2)]).unwrap();
    }
    fs::write(segment_of(directory.path()), older).unwrap();
    let opened = FileJournal::open(directory.path(), NONCE).unwrap();
    assert_eq!(opened.found, Found::Amnesia(Loss::Behind));
    assert_eq!(opened.records, [Record::Amnesia { nonce: NONCE }]);
    drop(opened);
    // It stays so, with the nonce that was drawn first, until the notice is committed.
    let mut opened = FileJournal::open(directory.path(), [8; 32]).unwrap();
    assert_eq!(opened.found, Found::Whole);
    assert_eq!(
        Promises::replay(&opened.records).unwrap().amnesia(),
        Some(NONCE)
    );
    opened.journal.append(&[cleared(12)]).unwrap();
    drop(opened);
    let opened = FileJournal::open(directory.path(), [9; 32]).unwrap();
    let promises = Promises::replay(&opened.records).unwrap();
    assert_eq!(
        (promises.amnesia(), promises.floor()),
        (None, Height::new(12))
    );
}

#[test]
fn every_loss_is_named() {
    type Damage = fn(&Path);
    let cases: [(&str, Damage, Loss); 6] = [
        (
            "head removed",
            |d| fs::remove_file(d.join(HEAD_FILE)).unwrap(),
            Loss::NoHead,
        ),
        (
            "head overwritten",
            |d| fs::write(d.join(HEAD_FILE), [1; 1024]).unwrap(),
            Loss::NoHead,
        ),
        (
            "segment removed",
            |d| fs::remove_file(segment_of(d)).unwrap(),
            Loss::NoSegment,
        ),
        (
            "segment emptied",
            |d| fs::write(segment_of(d), b"").unwrap(),
            Loss::NoSegment,
        ),
        (
            "record flipped",
            |d| {
                let mut bytes = fs::read(segment_of(d)).unwrap();
                bytes[SEGMENT_HEADER as usize + FRAME_HEADER + 1] ^= 1;
                fs::write(segment_of(d), bytes).unwrap();
            },
            Loss::Behind,
        ),
        (
            "another history of the same length",
            |d| {
                let other = written(&[sealed(5), sealed(6)]);
                fs::copy(segment_of(other.path()), segment_of(d)).unwrap();
            },
            Loss::OtherHash,
        ),
    ];
    for (name, damage, loss) in cases {
        let directory = written(&[sealed(1), sealed(2)]);
        damage(directory.path());
        let opened = FileJournal::open(directory.path(), NONCE).unwrap();
        assert_eq!(opened.found, Found::Amnesia(loss), "{name}");
        assert_eq!(opened.records, [Record::Amnesia { nonce: NONCE }], "{name}");
    }
}

#[test]
fn one_torn_head_slot_is_a_normal_crash() {
    let directory = written(&[sealed(1), sealed(2)]);
    let head = read_head(directory.path()).unwrap().unwrap();
    let path = directory.path().join(HEAD_FILE);
    let mut bytes = fs::read(&path).unwrap();
    bytes[(head.update % 2) as usize * SLOT_BYTES + 20] ^= 1;
    fs::write(&path, bytes).unwrap();
    let opened = FileJournal::open(directory.path(), NONCE).unwrap();
    assert_eq!(opened.found, Found::Whole);
    assert_eq!(opened.records, [sealed(1), sealed(2)]);
}

#[test]
fn a_full_segment_is_rewritten_with_what_binds() {
    let directory = fresh();
    let mut journal = FileJournal::open(directory.path(), NONCE).unwrap().journal;
    let many: Vec<Record> = (0..2_000).map(sealed).collect();
    let mut generations = std::collections::BTreeSet::new();
    for _ in 0..100 {
        journal.append(&many).unwrap();
        generations.insert(journal.head.generation);
    }
    assert!(generations.len() > 1, "the segment never ran full");
    assert_eq!(segments(directory.path()).unwrap().len(), 1);
    drop(journal);
    let opened = FileJournal::open(directory.path(), NONCE).unwrap();
    assert_eq!(opened.found, Found::Whole);
    let promises = Promises::replay(&opened.records).unwrap();
    assert_eq!(promises.floor(), Height::new(1_999));
}

#[test]
fn a_crash_while_rewriting_leaves_the_old_segment() {
    let directory = written(&[sealed(1), sealed(2)]);
    let head = read_head(directory.path()).unwrap().unwrap();
    let next = Head {
        generation: head.generation + 1,
        ..head
    };
    write_segment(directory.path(), &next, &[sealed(2)]).unwrap();
    let opened = FileJournal::open(directory.path(), NONCE).unwrap();
    assert_eq!(opened.records, [sealed(1), sealed(2)]);
    assert_eq!(segments(directory.path()).unwrap(), [head.generation]);
}

/// A segment of some 70 KiB, written in many appends: its bytes, the head after each, and where each
/// ends.
fn long_journal() -> (Vec<u8>, Vec<Head>, Vec<usize>) {
    let mut head = Head {
        update: 1,
        generation: 1,
        number: 0,
        hash: [0; 32],
    };
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&1u64.to_le_bytes());
    bytes.extend_from_slice(&0u64.to_le_bytes());
    bytes.extend_from_slice(&[0; 32]);
    let (mut heads, mut ends) = (vec![head], vec![bytes.len()]);
    let mut height = 0;
    while bytes.len() < 70 * 1024 {
        let many: Vec<Record> = (0..24).map(|i| sealed(height + i)).collect();
        height += 24;
        bytes.extend_from_slice(&frames(&mut head, &many));
        heads.push(head);
        ends.push(bytes.len());
    }
    bytes.extend_from_slice(&[0; 4096]);
    (bytes, heads, ends)
}

/// Every byte of the last 64 KiB, against every head that could have been on disk then: nothing that
/// the head covers is ever missing, or it is amnesia.
#[test]
fn a_segment_cut_at_any_byte_keeps_what_its_head_covers_or_is_lost() {
    let (whole, heads, ends) = long_journal();
    let end = *ends.last().unwrap();
    let parsed = |cut: usize, head: &Head, zeroed: bool| {
        let mut bytes = whole[..cut].to_vec();
        if zeroed {
            bytes.resize(whole.len(), 0);
        }
        parse_segment(&bytes, head)
    };
    for cut in end - 64 * 1024..=end {
        // What lies behind the cut was never written, or is not there at all: in turns.
        let zeroed = cut % 2 == 0;
        // Zeros in the place of zeros are no loss.
        let zeros = whole[cut..].iter().take_while(|byte| **byte == 0).count();
        let reached = if zeroed { cut + zeros } else { cut };
        // The newest head whose frames lie before the cut, and the one after it.
        let covered = ends.iter().rposition(|e| *e <= reached).unwrap();
        let read = parsed(cut, &heads[covered], zeroed).expect("all that the head covers");
        assert!(read.number >= heads[covered].number, "cut at {cut}");
        assert!(read.end as usize <= reached, "cut at {cut}");
        if let Some(next) = heads.get(covered + 1) {
            let lost = parsed(cut, next, zeroed).err();
            assert_eq!(lost, Some(Loss::Behind), "cut at {cut}");
        }
    }
}

#[test]
fn a_flipped_bit_never_changes_what_was_promised() {
    let (whole, heads, ends) = long_journal();
    let end = *ends.last().unwrap();
    let all = parse_segment(&whole, heads.last().unwrap()).unwrap_or_else(|e| panic!("{e:?}"));
    let mut lost = 0;
    for flip in 0..1_000usize {
        let place = flip.wrapping_mul(7_919_017) % (end + 64);
        let mut bent = whole.clone();
        bent[place] ^= 1 << (flip % 8);
        let covered = flip % heads.len();
        match parse_segment(&bent, &heads[covered]) {
            // Behind the head the tail may be cut, and is never another one.
            Ok(read) => {
                assert!(all.records.starts_with(&read.records), "bit at {place}");
                assert!(read.number >= heads[covered].number, "bit at {place}");
            }
            Err(_) => {
                assert!(
                    place < ends[covered],
                    "bit at {place}, head at {}",
                    ends[covered]
                );
                lost += 1;
            }
        }
    }
    assert!(lost > 100, "only {lost} of 1,000 bits were found");
}
