//! Stores that lie, lose and fail.

use std::sync::Arc;

use super::*;

fn stored(tree: &StateTree<MemoryStore>) -> Vec<(BucketId, Vec<u8>)> {
    let mut found = Vec::new();
    tree.store()
        .scan_buckets(&mut |id, value| {
            found.push((id, value.to_vec()));
            Ok(())
        })
        .unwrap();
    found
}

fn put(store: &mut MemoryStore, id: BucketId, value: Option<Vec<u8>>) {
    store.write(&BucketWrites(vec![BucketWrite {
        id,
        value: value.map(Arc::from),
    }]));
}

#[test]
fn a_changed_bucket_is_found_and_named_at_opening() {
    let (tree, _) = filled(60, 2);
    for (id, bytes) in stored(&tree) {
        for index in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[index] ^= 1 << (index % 8);
            let mut store = tree.store().clone();
            put(&mut store, id, Some(changed));
            match open_store(store, &tree) {
                Err(StateError::CorruptBucket { id: named, .. }) => assert_eq!(named, id),
                other => panic!("byte {index} of bucket {id}: {other:?}"),
            }
        }
        for length in 0..bytes.len() {
            let mut store = tree.store().clone();
            put(&mut store, id, Some(bytes[..length].to_vec()));
            assert!(matches!(
                open_store(store, &tree),
                Err(StateError::CorruptBucket { id: named, .. }) if named == id
            ));
        }
        let mut store = tree.store().clone();
        put(&mut store, id, Some([&bytes[..], &[0]].concat()));
        assert!(matches!(
            open_store(store, &tree),
            Err(StateError::CorruptBucket {
                fault: BucketFault::TrailingBytes(1),
                ..
            })
        ));
    }
}

#[test]
fn lost_doubled_and_stray_buckets_are_found_at_opening() {
    let (tree, _) = filled(60, 2);
    let buckets = stored(&tree);
    for (id, bytes) in &buckets {
        let mut store = tree.store().clone();
        put(&mut store, *id, None);
        assert!(matches!(
            open_store(store, &tree),
            Err(StateError::RootMismatch { .. })
        ));
        let mut store = tree.store().clone();
        put(&mut store, BucketId::new(900), Some(bytes.clone()));
        match open_store(store, &tree) {
            Err(StateError::ConflictingBuckets { first, second }) => {
                let pair = [first, second];
                assert!(pair.contains(id) && pair.contains(&BucketId::new(900)));
            }
            other => panic!("{other:?}"),
        }
        // The number alone carries nothing, unless it is beyond all numbers in use.
        let mut store = tree.store().clone();
        put(&mut store, *id, None);
        put(&mut store, BucketId::new(70_000), Some(bytes.clone()));
        assert_eq!(open_store(store, &tree).unwrap().root(), tree.root());
        let mut store = tree.store().clone();
        put(&mut store, BucketId::new(u32::MAX), Some(bytes.clone()));
        assert!(matches!(
            open_store(store, &tree),
            Err(StateError::CorruptBucket {
                fault: BucketFault::StoredKey,
                ..
            })
        ));
    }
    // Another version's bucket, sound by itself.
    let mut later = reopen(&tree).unwrap();
    let _ = advance(&mut later, &Batch::from([(hashed_key(3), Some(value(99)))]));
    assert!(matches!(
        open_store(later.store().clone(), &tree),
        Err(StateError::RootMismatch { expected, found })
            if expected == tree.root() && found == later.root()
    ));
    assert!(matches!(
        StateTree::open(tree.store().clone(), None, 2),
        Err(StateError::RootMismatch { .. })
    ));
}

#[test]
fn a_bucket_that_changes_later_is_found_when_it_is_read() {
    let (tree, _) = filled(60, 2);
    for (id, bytes) in stored(&tree) {
        let mut open = reopen(&tree).unwrap();
        let mut changed = bytes.clone();
        if let Some(last) = changed.last_mut() {
            *last ^= 1;
        }
        put(open.store_mut(), id, Some(changed));
        let of_bucket = |index: &u32| match open.get(&key(&hashed_key(*index))) {
            Ok(found) => {
                assert_eq!(found, Some(ValueHash::from_bytes(value(*index))));
                false
            }
            Err(StateError::CorruptBucket {
                id: named,
                fault: BucketFault::Hash,
            }) => named == id,
            Err(other) => panic!("{other:?}"),
        };
        let hit: Vec<u32> = (0..60).filter(of_bucket).collect();
        assert!(!hit.is_empty() && hit.len() <= MAX_BUCKET_LEAVES);
        let asked = key(&hashed_key(hit[0]));
        assert!(matches!(
            open.prove(height(0), &asked),
            Err(StateError::CorruptBucket { .. })
        ));
        let update = [(asked, Some(ValueHash::ZERO))];
        assert!(matches!(
            open.apply(open.height(), update),
            Err(StateError::CorruptBucket { .. })
        ));
        put(open.store_mut(), id, None);
        assert!(matches!(
            open.apply(open.height(), update),
            Err(StateError::MissingBucket { id: named }) if named == id
        ));
        // Nothing has changed: with the bucket back, the update goes through.
        put(open.store_mut(), id, Some(bytes));
        let pending = open.apply(open.height(), update).unwrap();
        open.commit(pending)
            .map(|writes| assert!(!writes.is_empty()))
            .unwrap();
    }
}

#[derive(Debug)]
struct Broken;

impl TreeStore for Broken {
    fn read_buckets(&self, _: &[BucketId]) -> Result<Vec<Option<Arc<[u8]>>>, StateError> {
        Err(StateError::Store("disk gone".into()))
    }

    fn scan_buckets(&self, _: &mut Visit<'_>) -> Result<(), StateError> {
        Err(StateError::Store("disk gone".into()))
    }
}

#[test]
fn a_failing_store_is_reported() {
    assert!(matches!(
        StateTree::open(Broken, None, 2),
        Err(StateError::Store(_))
    ));
}

#[test]
fn numbers_are_recycled() {
    let mut tree = new_tree(2);
    for round in 0..30_u32 {
        let fill: Batch = (0..500)
            .map(|index| (hashed_key(index + round), Some(value(round))))
            .collect();
        let _ = advance(&mut tree, &fill);
        let clear: Batch = (0..400)
            .map(|index| (hashed_key(index + round), None))
            .collect();
        let _ = advance(&mut tree, &clear);
        if round % 7 == 3 {
            tree = reopen(&tree).unwrap();
        }
    }
    let highest = stored(&tree).iter().map(|(id, _)| id.get()).max().unwrap();
    assert!(highest < 500, "{highest}");
}

#[test]
fn counters_count() {
    let (tree, _) = filled(1_000, 2);
    let mut tree = reopen(&tree).unwrap();
    assert_eq!(tree.counters(), TreeCounters::default());
    let batch = Batch::from([(hashed_key(5), Some(value(6)))]);
    let writes = advance(&mut tree, &batch);
    let counters = tree.counters();
    assert_eq!((counters.buckets_read, counters.buckets_written), (1, 1));
    assert_eq!(counters.bytes_written, writes.bytes());
    // The old bucket is verified, then its changed leaf and the way up are hashed anew.
    assert!((10..50).contains(&counters.nodes_hashed), "{counters:?}");
}
