//! Proofs hold for what they prove and for nothing else.

use super::*;

/// Whatever is done to a proof, it must not verify.
fn assert_every_mutation_fails(proof: &StateProof, root: &StateRoot, key: &StateKey) {
    let (steps, leaf) = (proof.steps().to_vec(), proof.leaf().copied());
    let refuse = |steps: Vec<ProofStep>, leaf: Option<ProofLeaf>, what: &str| {
        let mutated = StateProof::from_parts(steps, leaf).unwrap();
        assert!(mutated.verify(root, key).is_err(), "{what}");
    };
    for index in 0..steps.len() {
        for byte in 0..32 {
            let mut changed = steps.clone();
            changed[index].sibling[byte] ^= 1 << (byte % 8);
            refuse(changed, leaf, "sibling changed");
        }
        for bit in 0..16 {
            let mut changed = steps.clone();
            changed[index].position ^= 1 << bit;
            refuse(changed, leaf, "position changed");
        }
        let mut changed = steps.clone();
        changed.remove(index);
        refuse(changed, leaf, "step dropped");
        let mut changed = steps.clone();
        changed.insert(index, steps[index]);
        refuse(changed, leaf, "step doubled");
        for other in 0..index {
            let mut changed = steps.clone();
            changed.swap(index, other);
            refuse(changed, leaf, "steps swapped");
            let (mut changed, sibling) = (steps.clone(), steps[other].sibling);
            changed[other].sibling = steps[index].sibling;
            changed[index].sibling = sibling;
            refuse(changed, leaf, "siblings swapped");
        }
    }
    refuse(steps.clone(), None, "leaf dropped");
    refuse(Vec::new(), None, "everything dropped");
    let leaf = leaf.unwrap();
    for byte in 0..32 {
        let mut value = *leaf.value.as_bytes();
        value[byte] ^= 0x40;
        let value = ValueHash::from_bytes(value);
        refuse(
            steps.clone(),
            Some(ProofLeaf { value, ..leaf }),
            "value changed",
        );
    }
    for byte in 0..leaf.key.as_bytes().len() {
        let mut bytes = leaf.key.as_bytes().to_vec();
        bytes[byte] ^= 0x10;
        let changed = StateKey::new(&bytes).unwrap();
        refuse(
            steps.clone(),
            Some(ProofLeaf {
                key: changed,
                ..leaf
            }),
            "leaf's key changed",
        );
    }
    let longer = StateKey::new(&[leaf.key.as_bytes(), &[0]].concat()).unwrap();
    refuse(
        steps.clone(),
        Some(ProofLeaf {
            key: longer,
            ..leaf
        }),
        "leaf's key longer",
    );
    let asked = ProofLeaf { key: *key, ..leaf };
    if asked != leaf {
        refuse(steps, Some(asked), "leaf passed off as the asked one");
    }
}

#[test]
fn mutated_proofs_fail() {
    let (tree, model) = filled(600, 2);
    let present = hashed_key(17);
    let proof = tree.prove(height(0), &key(&present)).unwrap();
    let expected = Some(ValueHash::from_bytes(value(17)));
    assert_eq!(proof.verify(&tree.root(), &key(&present)), Ok(expected));
    assert!(proof.steps().len() >= 6);
    assert_every_mutation_fails(&proof, &tree.root(), &key(&present));

    let absent = hashed_key(100_000);
    let proof = tree.prove(height(0), &key(&absent)).unwrap();
    assert_eq!(proof.verify(&tree.root(), &key(&absent)), Ok(None));
    assert_every_mutation_fails(&proof, &tree.root(), &key(&absent));

    // A proof for one key says nothing false about any other.
    for other in model.keys().filter(|other| **other != present) {
        let proof = tree.prove(height(0), &key(&present)).unwrap();
        assert!(proof.verify(&tree.root(), &key(other)).is_err());
    }
    let proof = tree.prove(height(0), &key(&present)).unwrap();
    let mut shown_absent = 0;
    for index in 10_000..14_000 {
        let verdict = proof.verify(&tree.root(), &key(&hashed_key(index)));
        assert!(!matches!(verdict, Ok(Some(_))));
        shown_absent += u32::from(verdict.is_ok());
    }
    assert!(shown_absent < 100);
}

#[test]
fn the_empty_tree_proves_absence_of_everything() {
    let mut tree = new_tree(2);
    let asked = key(&hashed_key(1));
    assert!(matches!(
        tree.prove(height(0), &asked),
        Err(StateError::OutsideWindow { oldest: None, .. })
    ));
    let _ = advance(&mut tree, &Batch::new());
    let proof = tree.prove(height(0), &asked).unwrap();
    assert_eq!(proof.verify(&empty_root(), &asked), Ok(None));
    assert!(proof.verify(&root([7; 32]), &asked).is_err());
    let step = ProofStep {
        position: 0,
        sibling: [0; 32],
    };
    let headless = StateProof::from_parts(vec![step], None).unwrap();
    assert_eq!(
        headless.verify(&empty_root(), &asked),
        Err(ProofError::NoLeaf)
    );
}

#[test]
fn keys_without_any_namespace_in_the_tree_are_absent() {
    let (tree, _) = filled(50, 2);
    for bytes in [vec![0], vec![2], vec![0xff; 96], vec![1; 96], vec![0x80, 1]] {
        let proof = tree.prove(height(0), &key(&bytes)).unwrap();
        assert_eq!(proof.verify(&tree.root(), &key(&bytes)), Ok(None));
    }
}

#[test]
fn positions_must_rise_below_the_limit() {
    let leaf = Some(ProofLeaf {
        key: key(&[1]),
        value: ValueHash::ZERO,
    });
    let step = |position| ProofStep {
        position,
        sibling: [1; 32],
    };
    let verdict = |positions: &[u16]| {
        let steps = positions.iter().map(|position| step(*position)).collect();
        StateProof::from_parts(steps, leaf)
            .unwrap()
            .verify(&StateRoot::ZERO, &key(&[1]))
    };
    assert_eq!(
        verdict(&[3, 3]),
        Err(ProofError::Position {
            step: 1,
            position: 3
        })
    );
    assert_eq!(
        verdict(&[3, 2]),
        Err(ProofError::Position {
            step: 1,
            position: 2
        })
    );
    assert_eq!(
        verdict(&[768]),
        Err(ProofError::Position {
            step: 0,
            position: 768
        })
    );
    assert_eq!(
        verdict(&[u16::MAX]),
        Err(ProofError::Position {
            step: 0,
            position: u16::MAX
        })
    );
    assert!(matches!(verdict(&[3, 767]), Err(ProofError::Root { .. })));
    let many = vec![step(1); 769];
    assert_eq!(
        StateProof::from_parts(many, leaf),
        Err(ProofError::TooLong { count: 769 })
    );
}

#[test]
fn keys_have_a_length() {
    assert_eq!(StateKey::new(&[]), Err(KeyError::Empty));
    assert_eq!(
        StateKey::new(&[1; 97]),
        Err(KeyError::TooLong { length: 97 })
    );
    assert_eq!(
        StateKey::new(&[1; 400]),
        Err(KeyError::TooLong { length: 400 })
    );
    let longest = StateKey::new(&[9; 96]).unwrap();
    assert_eq!((longest.as_bytes(), longest.namespace()), (&[9; 96][..], 9));
    assert!(StateKey::try_from(vec![0; 97]).is_err());
}
