//! Candidates, discarding, and the window of provable versions.

use super::*;

fn one(index: u32, number: Option<u32>) -> Batch {
    Batch::from([(hashed_key(index), number.map(value))])
}

#[test]
fn candidates_on_one_parent_do_not_see_each_other() {
    let (mut tree, model) = filled(200, 4);
    let before = tree.root();
    let candidate = |batch: &Batch| tree.apply(Some(height(0)), updates(batch)).unwrap();
    let batches = [
        one(7, Some(1_000)),
        one(7, None),
        one(5_000, Some(1)),
        Batch::new(),
    ];
    let [first, second, third, idle] = batches.each_ref().map(candidate);
    for (batch, pending) in batches.iter().zip([&first, &second, &third, &idle]) {
        let mut model = model.clone();
        apply_to_model(&mut model, batch);
        assert_eq!(pending.root(), root(naive_root(&model)));
        assert_eq!(pending.parent(), Some(height(0)));
    }
    assert_eq!(tree.root(), before);
    drop(first);
    assert_eq!(
        (tree.root(), tree.get(&key(&hashed_key(7))).unwrap()),
        (before, Some(ValueHash::from_bytes(value(7))))
    );

    let root_of_second = second.root();
    let writes = tree.commit(second).unwrap();
    tree.store_mut().write(&writes);
    assert_eq!(tree.root(), root_of_second);
    assert!(matches!(
        tree.commit(third),
        Err(StateError::StaleParent { parent: Some(_), newest: Some(newest) }) if newest == height(1)
    ));
    assert_eq!(
        (tree.root(), tree.height()),
        (root_of_second, Some(height(1)))
    );
    assert!(matches!(
        tree.apply(Some(height(0)), []),
        Err(StateError::StaleParent { .. })
    ));
    assert!(matches!(
        tree.apply(None, []),
        Err(StateError::StaleParent { .. })
    ));
    assert_eq!(reopen(&tree).unwrap().root(), root_of_second);
}

#[test]
fn a_pending_update_belongs_to_its_tree() {
    let (mut one_tree, _) = filled(20, 4);
    let (other, _) = filled(20, 4);
    let pending = other.apply(other.height(), updates(&one(1, None))).unwrap();
    assert!(matches!(
        one_tree.commit(pending),
        Err(StateError::ForeignPending)
    ));
}

#[test]
fn bad_batches_are_refused() {
    let (tree, _) = filled(100, 4);
    let set = Some(ValueHash::ZERO);
    let apply = |updates: &[(StateKey, Option<ValueHash>)]| {
        tree.apply(tree.height(), updates.iter().copied())
    };
    let twice = key(&hashed_key(3));
    assert!(matches!(
        apply(&[(twice, set), (twice, None)]),
        Err(StateError::DuplicateKey { key }) if *key == twice
    ));
    // Prefixes: of each other, of stored keys, and stored keys of them, zeros at the end included.
    let longer = key(&[&hashed_key(3)[..], &[0]].concat());
    let shorter = key(&hashed_key(3)[..20]);
    for batch in [
        &[(key(&[9, 9]), set), (key(&[9, 9, 0]), set)][..],
        &[(key(&[9, 9]), set), (key(&[9, 9, 1]), set)],
        &[(longer, set)],
        &[(shorter, set)],
        &[(key(&[1]), set)],
    ] {
        assert!(
            matches!(apply(batch), Err(StateError::PrefixKey { .. })),
            "{batch:?}"
        );
    }
    assert!(apply(&[(longer, None)]).is_ok_and(|pending| pending.root() == tree.root()));
}

#[test]
fn setting_what_is_there_writes_nothing() {
    let (mut tree, model) = filled(300, 4);
    let same: Batch = model
        .iter()
        .map(|(key, value)| (key.clone(), Some(*value)))
        .collect();
    let before = tree.root();
    assert!(advance(&mut tree, &same).is_empty());
    let gone: Batch = (1_000..1_100)
        .map(|index| (hashed_key(index), None))
        .collect();
    assert!(advance(&mut tree, &gone).is_empty());
    assert_eq!((tree.root(), tree.height()), (before, Some(height(2))));
}

#[test]
fn versions_are_provable_while_they_are_in_the_window() {
    let (mut tree, mut model) = filled(400, 5);
    let mut roots = vec![tree.root()];
    for step in 0..20_u32 {
        let batch: Batch = (0..40)
            .map(|index| {
                (
                    hashed_key(index * 13 % 450),
                    (index % 4 != 0).then(|| value(step)),
                )
            })
            .chain([(hashed_key(1), Some(value(1_000 + step)))])
            .collect();
        apply_to_model(&mut model, &batch);
        let _ = advance(&mut tree, &batch);
        roots.push(tree.root());
    }
    let asked = key(&hashed_key(1));
    for step in 16..20_u32 {
        let at = height(u64::from(step) + 1);
        let proof = tree.prove(at, &asked).unwrap();
        let expected = Some(ValueHash::from_bytes(value(1_000 + step)));
        assert_eq!(
            proof.verify(&roots[step as usize + 1], &asked),
            Ok(expected)
        );
        assert!(proof.verify(&roots[step as usize], &asked).is_err());
    }
    for outside in [0, 15, 21, u64::MAX] {
        match tree.prove(height(outside), &asked) {
            Err(StateError::OutsideWindow {
                asked,
                oldest,
                newest,
            }) => {
                assert_eq!(asked, height(outside));
                assert_eq!((oldest, newest), (Some(height(16)), Some(height(20))));
            }
            other => panic!("height {outside}: {other:?}"),
        }
    }
    assert!(tree.memory().history > 0);

    let mut reopened = reopen(&tree).unwrap();
    assert!(matches!(
        reopened.get_at(height(19), &asked),
        Err(StateError::OutsideWindow { .. })
    ));
    let _ = advance(&mut reopened, &one(1, None));
    let old = reopened.prove(height(20), &asked).unwrap();
    assert_eq!(
        old.verify(&roots[20], &asked),
        Ok(Some(ValueHash::from_bytes(value(1_019))))
    );
    let new = reopened.prove(height(21), &asked).unwrap();
    assert_eq!(new.verify(&reopened.root(), &asked), Ok(None));
}

#[test]
fn the_newest_commit_is_readable_before_it_is_written() {
    let (mut tree, _) = filled(400, 5);
    let _ = advance(&mut tree, &Batch::new());
    let pending = tree
        .apply(tree.height(), updates(&one(3, Some(77))))
        .unwrap();
    let writes = tree.commit(pending).unwrap();
    let asked = key(&hashed_key(3));
    // The store still has the old bucket.
    assert_eq!(
        tree.get(&asked).unwrap(),
        Some(ValueHash::from_bytes(value(77)))
    );
    assert_eq!(
        tree.get_at(height(1), &asked).unwrap(),
        Some(ValueHash::from_bytes(value(3)))
    );
    tree.store_mut().write(&writes);
    assert_eq!(
        tree.get_at(height(1), &asked).unwrap(),
        Some(ValueHash::from_bytes(value(3)))
    );
    assert_eq!(
        tree.get(&asked).unwrap(),
        Some(ValueHash::from_bytes(value(77)))
    );
}
