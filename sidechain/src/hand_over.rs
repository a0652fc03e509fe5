//! Who decides a side chain: main says so, and the side chain takes it over at a checkpoint.
//!
//! # Rules
//!
//! - H-1: whenever main's validator set changes, every side chain is given a set of the same members,
//!   one epoch above the last one that it was given, active from that block of main on.
//! - H-2: a side block that the set of epoch e decides, and at whose checkpoint epoch e + 1 is active,
//!   hands over: from the next height on the set of e + 1 decides. A chain that has slept through
//!   several sets takes them one block after the other.
//!
//! So the old set stays up until the block that hands over is sealed, and every node knows from the
//! block alone who decides the next one.

use std::{collections::BTreeMap, sync::Arc};

use certchain_ledger::{
    execution::BlockContext,
    identity::keys,
    side_chains::{self, ActivationRecord, SideChainList, SideChainRecord},
    state::StateKey,
    versioned::RecordError,
    view::{ReadError, StateView, Value},
};
use certchain_proto::{ChainId, Height, ValidatorSet, codec, validators::ValidatorSetError};

/// What the end of a block writes.
type Writes = BTreeMap<StateKey, Option<Value>>;

/// H-1: what main writes when `members` decide from its next height on.
pub(crate) fn give(
    view: &dyn StateView,
    height: Height,
    members: &ValidatorSet,
) -> Result<Writes, ReadError> {
    let mut writes = Writes::new();
    for chain in side_chains::read_list(view)?.chains {
        let key = side_chains::side_chain(&chain);
        let missing = || ReadError::record(key, RecordError::Malformed { what: "side chain" });
        let record = side_chains::read_side_chain(view, &chain)?.ok_or_else(missing)?;
        let epoch = record.newest.next();
        let all = members.iter().map(|(_, member)| member.clone()).collect();
        let validators = ValidatorSet::new(epoch, all).map_err(|_: ValidatorSetError| missing())?;
        let given = ActivationRecord {
            validators,
            activation: height,
        };
        let record = SideChainRecord {
            newest: epoch,
            ..record
        };
        writes.insert(
            side_chains::activation(&chain, epoch),
            Some(given.encode().into()),
        );
        writes.insert(key, Some(record.encode().into()));
    }
    Ok(writes)
}

/// H-2: what a side block writes if it hands over.
pub(crate) fn take(block: &BlockContext<'_>) -> Result<Writes, ReadError> {
    let mut writes = Writes::new();
    let Some(main) = &block.main else {
        return Ok(writes);
    };
    let next = block.validators.epoch().next();
    // Main writes it at the end of the block from which it is active, so that it is active wherever
    // it is.
    if let Some(given) = side_chains::read_activation(main.view, &block.chain, next)? {
        let set = codec::encode(&given.validators);
        writes.insert(keys::validators(), Some(Arc::from(set)));
    }
    Ok(writes)
}

/// The list of the side chains of genesis, in main's first state.
pub(crate) fn list_leaf(chains: Vec<ChainId>) -> (StateKey, Value) {
    let list = SideChainList { chains };
    (side_chains::list(), Arc::from(list.encode()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::HashMap;

    use certchain_config::catalogue::SideChain;
    use certchain_ledger::{
        execution::{Application, MainState, ParentSigners},
        parameters::ChainParameters,
        side_chains::CreationRecord,
        validator_set::decode_set,
    };
    use certchain_proto::{
        Epoch, SecretKey, TimeMs, Validator,
        block::Checkpoint,
        hash::{BlockId, StateRoot},
    };

    use super::*;
    use crate::certificate::CertificateApplication;

    type State = HashMap<StateKey, Value>;

    fn chain(n: u8) -> ChainId {
        ChainId::from_bytes([n; 32])
    }

    fn set(epoch: u64, members: &[u8]) -> ValidatorSet {
        let member = |n: &u8| Validator {
            vote_key: SecretKey::from_seed(&[*n; 32]).public().clone(),
            network_key: [*n; 32],
        };
        let members = members.iter().map(member).collect();
        ValidatorSet::new(Epoch::new(epoch), members).unwrap()
    }

    /// Main with these side chains, each in its first epoch.
    fn main_with(chains: &[u8]) -> State {
        let mut state = State::new();
        let (key, list) = list_leaf(chains.iter().map(|n| chain(*n)).collect());
        state.insert(key, list);
        for n in chains {
            let record = SideChainRecord {
                name: format!("chain-{n}"),
                creation: CreationRecord {
                    height: Height::ZERO,
                    time: TimeMs::new(1),
                    epoch: Epoch::ZERO,
                    validators: set(0, &[1]).digest(),
                },
                genesis: BlockId::ZERO,
                epoch: Epoch::ZERO,
                newest: Epoch::ZERO,
                last_anchor: Height::ZERO,
                frozen: None,
            };
            let key = side_chains::side_chain(&chain(*n));
            state.insert(key, record.encode().into());
        }
        state
    }

    fn give_in(main: &mut State, height: u64, members: &ValidatorSet) {
        for (key, value) in give(main, Height::new(height), members).unwrap() {
            main.insert(key, value.unwrap());
        }
    }

    /// What the end of a side block writes on main's state, when this set decides it.
    fn end(main: &State, n: u8, decides: &ValidatorSet) -> Option<ValidatorSet> {
        let checkpoint = Checkpoint {
            height: Height::new(9),
            block: BlockId::ZERO,
            state_root: StateRoot::ZERO,
        };
        let parameters = ChainParameters::default();
        let block = BlockContext {
            chain: chain(n),
            height: Height::new(1),
            time: TimeMs::new(2),
            parameters: &parameters,
            validators: decides,
            main: Some(MainState {
                view: main,
                checkpoint,
                time: TimeMs::new(1),
            }),
            blocks: None,
        };
        let application = CertificateApplication::new(SideChain::ALL[0]);
        let none = ParentSigners::default();
        let writes = application.end_block(&State::new(), &block, &none).unwrap();
        assert!(writes.len() <= 1);
        let value = writes.get(&keys::validators())?.as_deref().unwrap();
        Some(decode_set(value).unwrap())
    }

    #[test]
    fn every_side_chain_follows_mains_members() {
        let mut main = main_with(&[7, 8]);
        give_in(&mut main, 5, &set(1, &[1, 2, 3]));
        // Main may have gone further in its own epochs.
        give_in(&mut main, 6, &set(9, &[2, 3, 4]));
        for n in [7, 8] {
            let record = side_chains::read_side_chain(&main, &chain(n))
                .unwrap()
                .unwrap();
            assert_eq!((record.epoch, record.newest), (Epoch::ZERO, Epoch::new(2)));
            for (epoch, height, members) in [(1, 5, [1, 2, 3]), (2, 6, [2, 3, 4])] {
                let given = side_chains::read_activation(&main, &chain(n), Epoch::new(epoch));
                let given = given.unwrap().unwrap();
                assert_eq!(given.validators, set(epoch, &members));
                assert_eq!(given.activation, Height::new(height));
            }
        }
    }

    #[test]
    fn a_chain_takes_the_next_epoch_and_no_other() {
        let mut main = main_with(&[7]);
        let first = set(0, &[1]);
        assert_eq!(end(&main, 7, &first), None);
        give_in(&mut main, 5, &set(1, &[1, 2, 3]));
        give_in(&mut main, 6, &set(2, &[2, 3, 4]));
        let second = end(&main, 7, &first).unwrap();
        assert_eq!(second, set(1, &[1, 2, 3]));
        let third = end(&main, 7, &second).unwrap();
        assert_eq!(third, set(2, &[2, 3, 4]));
        assert_eq!(end(&main, 7, &third), None);
        assert_eq!(end(&main, 8, &first), None, "of another chain");
    }
}
