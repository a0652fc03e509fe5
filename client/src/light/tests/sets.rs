//! Validators that change, followed from genesis on.

use certchain_ledger::evidence::{SetChange, SetError, WireError};
use certchain_proto::{Validator, certificate::CertificateError, codec};

use super::*;
use crate::connection::{ConnectionError, FollowError, validators::follow};

fn set(epoch: u64, seeds: &[u8]) -> ValidatorSet {
    let member = |seed: &u8| Validator {
        vote_key: key(*seed).public().clone(),
        network_key: *key(seed + 50).public().as_bytes(),
    };
    ValidatorSet::new(Epoch::new(epoch), seeds.iter().map(member).collect()).unwrap()
}

impl World {
    /// A block after which the members with these keys decide; gives the change.
    fn hand_over(&mut self, seeds: &[u8]) -> SetChange {
        let next = set(self.set.epoch().get() + 1, seeds);
        self.push_before(vec![], 0, &next);
        (self.set, self.seeds) = (next.clone(), seeds.to_vec());
        SetChange {
            block: self.blocks.last().unwrap().sealed.clone(),
            validators: next,
        }
    }

    /// [`World::new`] with three changes: at height 5 one leaves, at 6 one comes, at 8 all others do.
    fn changing() -> (Self, Vec<SetChange>) {
        let mut world = Self::new();
        let mut changes = vec![
            world.hand_over(&[101, 102, 103, 104]),
            world.hand_over(&[101, 102, 103, 104, 105]),
        ];
        // Three of five are no quorum.
        world.push_signed(&[0, 1, 2, 4]);
        let last = set(3, &[110, 111, 112, 113]);
        world.push_before(vec![], 0, &last);
        world.sign_last(&[1, 2, 3, 4]);
        changes.push(SetChange {
            block: world.blocks[8].sealed.clone(),
            validators: last.clone(),
        });
        (world.set, world.seeds) = (last, vec![110, 111, 112, 113]);
        let rotated = record(2, 1, 4).encode();
        world.push(vec![(keys::identity(&holder()), rotated)], 2);
        world.push(vec![], 0);
        (world, changes)
    }

    fn push_signed(&mut self, signers: &[u8]) {
        self.push(vec![], 0);
        self.sign_last(signers);
    }

    /// Has the last block signed by others than usual.
    fn sign_last(&mut self, signers: &[u8]) {
        let sealed = &mut self.blocks.last_mut().unwrap().sealed;
        sealed.certificate = certify_by(&self.seeds, &sealed.header, &sealed.outcome, signers);
    }
}

fn answer(changes: &[SetChange]) -> v1::ListValidatorSetsResponse {
    let changes = changes.iter().map(Into::into).collect();
    v1::ListValidatorSetsResponse { changes }
}

/// Bends a change and has its block signed by members of genesis.
fn bent(
    change: &SetChange,
    signers: &[u8],
    bend: impl FnOnce(&mut SealedHeader, &mut ValidatorSet),
) -> SetChange {
    let mut change = change.clone();
    bend(&mut change.block, &mut change.validators);
    let block = &mut change.block;
    block.certificate = certify(&block.header, &block.outcome, signers);
    change
}

fn epoch_of(error: Result<VerifiedHeader, LightError>) -> (u64, u64) {
    match error {
        Err(LightError::UnknownEpoch { epoch, newest }) => (epoch.get(), newest.get()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn blocks_of_all_epochs_count_once_their_validators_are_known() {
    let (world, changes) = World::changing();
    let mut light = world.light.clone();
    let epochs = [0, 0, 0, 0, 0, 0, 1, 2, 2, 3, 3];
    for known in 0..=3u64 {
        for (height, epoch) in epochs.into_iter().enumerate() {
            let header = light.header(&world.wire(height));
            if epoch <= known {
                assert_eq!(header.unwrap().id, world.blocks[height].sealed.id());
            } else {
                assert_eq!(epoch_of(header), (epoch, known), "height {height}");
            }
        }
        assert_eq!(light.validators().epoch(), Epoch::new(known));
        if let Some(change) = changes.get(known as usize) {
            light.learn(&answer(std::slice::from_ref(change))).unwrap();
            assert_eq!(*light.validators(), change.validators);
        }
    }
    // All at once, and again.
    let mut other = world.light.clone();
    other.learn(&answer(&changes)).unwrap();
    assert_eq!(other.validator_sets(), light.validator_sets());
    light.learn(&answer(&changes)).unwrap();
    light.learn(&answer(&changes[1..])).unwrap();
    light.learn(&answer(&[])).unwrap();
    assert_eq!(other.validator_sets(), light.validator_sets());
}

#[test]
fn answers_of_a_later_epoch_are_proven() {
    let (world, changes) = World::changing();
    let mut light = world.light.clone();
    let key = keys::identity(&holder());
    let (value, included) = (world.state(9, &key), world.transaction(9, 1));
    let (history, block) = (world.history(3, 10), world.block(9));
    let id = world.blocks[9].transactions[1].id();
    let all = |light: &LightClient| {
        [
            light.state_value(&key, None, &value).map(drop),
            light.transaction(&id, &included).map(drop),
            light.history(Height::new(3), &history).map(drop),
            light.block(&block).map(drop),
        ]
    };
    let (epoch, newest) = (Epoch::new(3), Epoch::ZERO);
    for refused in all(&light) {
        assert_eq!(refused, Err(LightError::UnknownEpoch { epoch, newest }));
    }
    let message = LightError::UnknownEpoch { epoch, newest }.to_string();
    assert!(message.contains("ask for the validator sets"), "{message}");
    light.learn(&answer(&changes)).unwrap();
    for proven in all(&light) {
        proven.unwrap();
    }
}

#[test]
fn who_has_left_proves_nothing_that_came_later() {
    let (world, changes) = World::changing();
    let mut light = world.light.clone();
    // Blocks that all members of genesis sign, who have handed over at height 5.
    let forged = |height: u64| {
        let mut block = world.blocks[4].sealed.clone();
        block.header.height = Height::new(height);
        block.certificate = certify(&block.header, &block.outcome, &[0, 1, 2, 3]);
        v1::BlockHeader::from(&block)
    };
    for height in [1, 4, 5, 6, 99] {
        light.header(&forged(height)).unwrap();
    }
    light.learn(&answer(&changes[..1])).unwrap();
    light.header(&forged(4)).unwrap();
    let epoch = Epoch::ZERO;
    for height in [6, 7, 11, u64::MAX] {
        let refused = light.header(&forged(height));
        let height = Height::new(height);
        let expected = SetError::OutsideEpoch { epoch, height };
        assert_eq!(refused, Err(LightError::Validators(expected)));
    }
    let height = Height::new(5);
    let refused = light.header(&forged(5));
    let expected = SetError::OtherChange { height };
    assert_eq!(refused, Err(LightError::Validators(expected)));
    // A transaction in such a block is none either.
    let mut included = world.transaction(1, 0);
    let id = world.blocks[1].transactions[0].id();
    light.transaction(&id, &included).unwrap();
    let mut block = world.blocks[1].sealed.clone();
    block.header.height = Height::new(8);
    block.certificate = certify(&block.header, &block.outcome, &[0, 1, 2, 3]);
    included.block = Some((&block).into());
    let refused = light.transaction(&id, &included).map(drop);
    let height = Height::new(8);
    let expected = SetError::OutsideEpoch { epoch, height };
    assert_eq!(refused, Err(LightError::Validators(expected)));
    // Nor has the next set a say in what came before it, its own hand-over included.
    for height in [1, 5] {
        let mut block = world.blocks[6].sealed.clone();
        block.header.height = Height::new(height);
        let seeds = [101, 102, 103, 104];
        block.certificate = certify_by(&seeds, &block.header, &block.outcome, &[0, 1, 2]);
        let refused = light.header(&(&block).into());
        let (epoch, height) = (Epoch::new(1), Height::new(height));
        let expected = SetError::OutsideEpoch { epoch, height };
        assert_eq!(refused, Err(LightError::Validators(expected)));
    }
}

#[test]
fn a_change_that_is_not_proven_is_refused() {
    let (world, changes) = World::changing();
    let learn = |changes: &[SetChange]| {
        let mut light = world.light.clone();
        let answered = light.learn(&answer(changes));
        (answered, light.validators().epoch().get())
    };
    let refused = |change: SetChange| match learn(&[change]) {
        (Err(error), 0) => error,
        other => panic!("{other:?}"),
    };
    let first = &changes[0];
    let quorum = [0, 1, 3];
    assert_eq!(learn(&[bent(first, &quorum, |_, _| ())]), (Ok(()), 1));

    let height = Height::new(5);
    let wrong_set = bent(first, &quorum, |_, next| *next = set(1, &[101, 102, 103]));
    let expected = LightError::Validators(SetError::OtherSet { height });
    assert_eq!(refused(wrong_set), expected);
    let no_change = bent(first, &quorum, |block, _| {
        block.outcome.next_validators = world.light.validators().digest();
    });
    assert_eq!(refused(no_change), expected);

    for epoch in [0, 2, 7] {
        let other_epoch = bent(first, &quorum, |block, next| {
            *next = set(epoch, &[101, 102, 103, 104]);
            block.outcome.next_validators = next.digest();
        });
        let (block, next) = (Epoch::ZERO, Epoch::new(epoch));
        let expected = LightError::Validators(SetError::Successor { block, next });
        assert_eq!(refused(other_epoch), expected);
    }

    let (needed, actual) = (3, 2);
    let few = CertificateError::Quorum { needed, actual };
    for (signers, expected) in [
        (&[0, 1][..], few),
        (&[0, 1, 5], CertificateError::Signers),
        (&[0, 1, 1], CertificateError::Signers),
    ] {
        let expected = LightError::Evidence(expected.into());
        assert_eq!(refused(bent(first, signers, |_, _| ())), expected);
    }
    // Signed by those who are to follow: nobody appoints himself.
    let mut own = first.clone();
    let seeds = [101, 102, 103, 104];
    own.block.certificate = certify_by(&seeds, &own.block.header, &own.block.outcome, &[0, 1, 2]);
    let expected = LightError::Evidence(CertificateError::Signature.into());
    assert_eq!(refused(own), expected);

    // Out of order; what was proven before stays.
    let gap = LightError::UnknownEpoch {
        epoch: Epoch::new(1),
        newest: Epoch::ZERO,
    };
    assert_eq!(refused(changes[1].clone()), gap);
    let (error, known) = learn(&[changes[0].clone(), changes[2].clone()]);
    assert!(matches!(error, Err(LightError::UnknownEpoch { .. })));
    assert_eq!(known, 1);

    // Genesis hands over to nobody, whatever is signed.
    let at_genesis = bent(first, &quorum, |block, _| {
        block.header.height = Height::ZERO
    });
    let (epoch, height) = (Epoch::ZERO, Height::ZERO);
    let expected = SetError::OutsideEpoch { epoch, height };
    assert_eq!(refused(at_genesis), LightError::Validators(expected));
}

#[test]
fn an_epoch_hands_over_once() {
    let (world, changes) = World::changing();
    let mut light = world.light.clone();
    light.learn(&answer(&changes)).unwrap();
    let known = light.validator_sets().clone();
    let quorum = [0, 1, 2, 3];
    for at in [1, 4, 5, 6] {
        let other = bent(&changes[0], &quorum, |block, next| {
            block.header.height = Height::new(at);
            *next = set(1, &[100, 101, 102]);
            block.outcome.next_validators = next.digest();
        });
        let height = Height::new(at);
        let expected = match at {
            6 => SetError::OutsideEpoch {
                epoch: Epoch::ZERO,
                height,
            },
            _ => SetError::OtherChange { height },
        };
        let refused = light.learn(&answer(&[other]));
        assert_eq!(refused, Err(LightError::Validators(expected)));
    }
    assert_eq!(*light.validator_sets(), known);
}

#[test]
fn a_bent_answer_teaches_nothing_else() {
    let (world, changes) = World::changing();
    let good = answer(&changes[..1]);
    let bytes = good.encode_to_vec();
    let learned = |answer: &v1::ListValidatorSetsResponse| {
        let mut light = world.light.clone();
        light.learn(answer).map(|()| light.sets)
    };
    let expected = learned(&good).unwrap();
    for index in 0..bytes.len() {
        let mut bent = bytes.clone();
        bent[index] ^= 1;
        let Ok(bent) = v1::ListValidatorSetsResponse::decode(bent.as_slice()) else {
            continue;
        };
        if let Ok(sets) = learned(&bent) {
            assert!(
                sets == expected || bent.changes.is_empty(),
                "byte {index} of {} bent",
                bytes.len()
            );
        }
    }
    let mut lacking = good.clone();
    lacking.changes[0].block = None;
    assert_eq!(learned(&lacking), Err(WireError::Missing("block").into()));
    let mut long = good;
    long.changes[0].validators = codec::encode(&(3u64, vec![[1u8; 64]; 65].concat()));
    assert!(matches!(learned(&long), Err(LightError::Wire(_))));
}

/// Follows a node that answers each question with what `page` gives; also gives the questions.
async fn followed(
    light: &mut LightClient,
    page: impl Fn(usize) -> Vec<SetChange>,
) -> (Result<usize, FollowError>, Vec<usize>) {
    let mut asked = Vec::new();
    let learned = follow(light, |known| {
        let known = known.get() as usize;
        asked.push(known);
        let answer = answer(&page(known));
        async move { Ok(answer) }
    });
    let learned = learned.await.map(|changes| changes.len());
    (learned, asked)
}

#[tokio::test]
async fn a_node_is_asked_until_it_knows_no_more() {
    let (world, changes) = World::changing();
    let fresh = || world.light.clone();
    let page = |most: usize| {
        let changes = &changes;
        move |known: usize| changes.iter().skip(known).take(most).cloned().collect()
    };
    for (most, questions) in [(1, vec![0, 1, 2, 3]), (2, vec![0, 2, 3]), (9, vec![0, 3])] {
        let mut light = fresh();
        let (learned, asked) = followed(&mut light, page(most)).await;
        assert_eq!((learned, asked), (Ok(3), questions));
        assert_eq!(light.validators().epoch(), Epoch::new(3));
        let (learned, asked) = followed(&mut light, page(most)).await;
        assert_eq!((learned, asked), (Ok(0), vec![3]));
    }
    // One that repeats itself is not asked for ever.
    let mut light = fresh();
    let (learned, asked) = followed(&mut light, |_| changes[..1].to_vec()).await;
    assert_eq!((learned, asked), (Ok(1), vec![0, 1]));
    // One that says what is not proven is not followed.
    let mut light = fresh();
    let (learned, _) = followed(&mut light, |_| changes[1..].to_vec()).await;
    assert!(matches!(learned, Err(FollowError::Light(_))), "{learned:?}");
    assert_eq!(*light.validator_sets(), *fresh().validator_sets());
    let silent = |_| std::future::ready(Err(ConnectionError::NoNode));
    let refused = follow(&mut light, silent).await;
    assert_eq!(refused, Err(ConnectionError::NoNode.into()));
}
