//! Random histories: after every version the tree and the naive model agree on everything.

use proptest::prelude::*;

use super::*;

/// Keys of five namespaces with a length each: hashes, dense counters, records under few long
/// prefixes, the longest keys differing in their last bits, and very short ones.
fn any_key() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => (0..300_u32).prop_map(hashed_key),
        3 => (0..200_u64).prop_map(|number| [&[2][..], &number.to_be_bytes()].concat()),
        3 => (0..3_u8, 0..40_u64).prop_map(|(issuer, serial)| {
            [&[3][..], &[issuer; 32], &(serial << 20).to_be_bytes()].concat()
        }),
        2 => (0..64_u8, 0..3_u8).prop_map(|(last, middle)| {
            let mut bytes = vec![0xff; 96];
            bytes[0] = 4;
            bytes[50] = middle;
            bytes[95] = last;
            bytes
        }),
        2 => any::<u8>().prop_map(|second| vec![0x85, second]),
    ]
}

fn any_batch(most: usize) -> impl Strategy<Value = Batch> {
    let change = prop_oneof![
        3 => (0..50_u32).prop_map(|number| Some(value(number))),
        2 => Just(None),
    ];
    prop::collection::btree_map(any_key(), change, 0..most)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn tree_and_model_agree(
        batches in prop::collection::vec(
            prop_oneof![2 => any_batch(6), 2 => any_batch(40), 1 => any_batch(250)], 1..12
        ),
        asked in prop::collection::vec(any_key(), 20),
        from_disk in any::<bool>(),
        cache in prop_oneof![Just(0), Just(1 << 11), Just(1 << 14), Just(DEFAULT_CACHE_BYTES)],
    ) {
        let (mut tree, mut model, mut history) = (new_tree(3), Model::new(), Vec::new());
        for batch in &batches {
            apply_to_model(&mut model, batch);
            tree.set_cache_bytes(cache);
            let writes = advance(&mut tree, batch);
            prop_assert_eq!(tree.root(), root(naive_root(&model)));
            let ids: std::collections::BTreeSet<_> = writes.iter().map(|write| write.id).collect();
            prop_assert_eq!(ids.len(), writes.len());
            history.push(model.clone());
            if from_disk {
                tree = reopen(&tree).unwrap();
            }
            for bytes in asked.iter().chain(batch.keys().take(10)) {
                let expected = model.get(bytes).copied().map(ValueHash::from_bytes);
                prop_assert_eq!(tree.get(&key(bytes)).unwrap(), expected);
            }
        }
        // Every version in the window proves what it held.
        let oldest = tree.oldest_height().unwrap().get() as usize;
        for (number, model) in history.iter().enumerate().skip(oldest) {
            let at = height(number as u64);
            for bytes in asked.iter().chain(model.keys().take(20)) {
                let proof = tree.prove(at, &key(bytes)).unwrap();
                let expected = model.get(bytes).copied().map(ValueHash::from_bytes);
                prop_assert_eq!(proof.verify(&root(naive_root(model)), &key(bytes)), Ok(expected));
                prop_assert_eq!(tree.get_at(at, &key(bytes)).unwrap(), expected);
            }
        }
        // The packing follows from the keys alone, and nothing is left behind.
        let mut fresh = new_tree(1);
        let _ = advance(&mut fresh, &model.iter().map(|(k, v)| (k.clone(), Some(*v))).collect());
        prop_assert_eq!(packed(&fresh), packed(&tree));
        tree.set_cache_bytes(0);
        for _ in 0..4 {
            prop_assert!(advance(&mut tree, &Batch::new()).is_empty());
        }
        prop_assert_eq!(tree.buckets_in_memory(), tree.store().len());
        prop_assert_eq!((tree.memory().cache, tree.memory().history), (0, 0));
    }

    #[test]
    fn order_of_updates_does_not_matter(
        batch in any_batch(120),
        base in any_batch(120),
        seed in any::<u64>(),
    ) {
        let mut tree = new_tree(2);
        let _ = advance(&mut tree, &base);
        let mut shuffled = updates(&batch);
        let rank = |key: &StateKey| {
            *blake3::hash(&[&seed.to_le_bytes()[..], key.as_bytes()].concat()).as_bytes()
        };
        shuffled.sort_by_cached_key(|(key, _)| rank(key));
        let sorted = tree.apply(tree.height(), updates(&batch)).unwrap().root();
        prop_assert_eq!(tree.apply(tree.height(), shuffled.clone()).unwrap().root(), sorted);
        // One by one as well.
        for (key, value) in shuffled {
            let pending = tree.apply(tree.height(), [(key, value)]).unwrap();
            let writes = tree.commit(pending).unwrap();
            tree.store_mut().write(&writes);
        }
        prop_assert_eq!(tree.root(), sorted);
    }
}

/// The stored values, without their numbers.
fn packed(tree: &StateTree<MemoryStore>) -> Vec<Vec<u8>> {
    let mut values = Vec::new();
    tree.store()
        .scan_buckets(&mut |_, value| {
            values.push(value.to_vec());
            Ok(())
        })
        .unwrap();
    values.sort();
    values
}

#[test]
fn golden_roots() {
    let golden = |model: &Model, expected: &str| {
        assert_eq!(hex::encode(naive_root(model)), expected);
        let mut tree = new_tree(1);
        let batch: Batch = model
            .iter()
            .map(|(key, value)| (key.clone(), Some(*value)))
            .collect();
        let _ = advance(&mut tree, &batch);
        assert_eq!(tree.root().to_string(), expected);
    };
    let mut model = Model::new();
    golden(
        &model,
        "d3faf727bf30692a12d6a541503704e48564a28113dfcb9bf1971176c9f76637",
    );
    model.insert(vec![1, 0xaa], [0x11; 32]);
    golden(
        &model,
        "96d0ec3020427075c5da1244c1d9d52ef3906b42112ba6909a081b1aadb6e92c",
    );
    model.insert(vec![1, 0xab], [0x22; 32]);
    model.insert(vec![2, 0, 0, 7], [0x33; 32]);
    golden(
        &model,
        "040016d6aabf7305581f70b4b1f8cfb6e11fed69e9e6ac2a9cc1950391dc4ddc",
    );
    for index in 0..100 {
        model.insert([&[3][..], &[index; 40]].concat(), [index; 32]);
    }
    golden(
        &model,
        "ed35f381e13038a36be9741d24d44513b20ab9fdff15dc53213a4eef067c19af",
    );
}

#[test]
fn a_large_tree_agrees_too() {
    let (mut tree, mut model) = filled(5_000, 4);
    assert_eq!(tree.root(), root(naive_root(&model)));
    let batch: Batch = (4_000..6_000)
        .map(|index| {
            (
                hashed_key(index),
                (index % 3 != 0).then(|| value(index + 1)),
            )
        })
        .collect();
    apply_to_model(&mut model, &batch);
    let _ = advance(&mut tree, &batch);
    assert_eq!(tree.root(), root(naive_root(&model)));
    assert_eq!(reopen(&tree).unwrap().root(), tree.root());
    // Everything away again.
    let batch: Batch = model.keys().map(|key| (key.clone(), None)).collect();
    let _ = advance(&mut tree, &batch);
    assert_eq!(tree.root(), empty_root());
    assert!(tree.store().is_empty());
}
