//! The genesis block. Nobody signs it: every node computes it from the genesis file.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use certchain_config::Genesis;
use certchain_proto::{
    Address, BlockHeader, ChainId, CommitCertificate, Height, Outcome, TimeMs, ValidatorIndex,
    ValidatorSet, View,
    block::PROTOCOL,
    codec,
    hash::{
        AttributeRoot, BlockId, CertificateDigest, HeaderDigest, IdentityTag, OutcomeDigest,
        ValueHash,
    },
};

use crate::{
    evidence::SealedHeader,
    governance::{self, Member, MembersRecord, RegistrarsRecord, RulesRecord, TypesRecord},
    history::History,
    identity::{IdentityKind, IdentityRecord, IdentityStatus, IdentityVersion, keys},
    merkle,
    parameters::ChainParameters,
    side_chains::CreationRecord,
    state::{MemoryStore, StateError, StateKey, StateTree},
    view::Value,
};

/// The block at height 0 and what it puts into the state.
#[derive(Clone, Debug)]
pub struct GenesisBlock {
    /// Header, outcome and the empty certificate.
    pub block: SealedHeader,
    /// The set that decides block 1.
    pub validators: ValidatorSet,
    /// The chain's parameters.
    pub parameters: ChainParameters,
    /// The first state.
    pub leaves: BTreeMap<StateKey, Value>,
}

impl GenesisBlock {
    /// The main chain's genesis block.
    ///
    /// # Errors
    /// If the state tree refuses the leaves, which a valid genesis never causes.
    pub fn main(genesis: &Genesis) -> Result<Self, StateError> {
        Self::main_with(genesis, BTreeMap::new())
    }

    /// The main chain's genesis block with leaves beside those of identities.
    ///
    /// # Errors
    /// As [`Self::main`].
    pub fn main_with(
        genesis: &Genesis,
        more: BTreeMap<StateKey, Value>,
    ) -> Result<Self, StateError> {
        let parameters = ChainParameters {
            limits: genesis.limits.clone(),
            timers: genesis.timers.clone(),
            tag_key_version: genesis.tag_key_version,
        };
        let mut leaves = leaves(genesis, &parameters);
        leaves.extend(more);
        let validators = genesis.validator_set().clone();
        Self::of(
            genesis.chain_id(),
            genesis.time_ms,
            validators,
            parameters,
            leaves,
        )
    }

    /// The genesis block of a side chain that the genesis of main creates. It names no checkpoint,
    /// since main's genesis block names it.
    ///
    /// # Errors
    /// As [`Self::main`].
    pub fn side(
        genesis: &Genesis,
        name: &str,
        more: BTreeMap<StateKey, Value>,
    ) -> Result<Self, StateError> {
        let mut timers = genesis.timers.clone();
        timers.heartbeat_ms = timers.side_heartbeat_ms;
        let parameters = ChainParameters {
            limits: genesis.limits.clone(),
            timers,
            tag_key_version: genesis.tag_key_version,
        };
        let chain = CreationRecord::of_genesis(genesis).chain_id(&genesis.chain_id(), name);
        let validators = genesis.validator_set().clone();
        let mut leaves = more;
        let mut set = |key, value: Vec<u8>| leaves.insert(key, Arc::from(value));
        set(keys::parameters(), codec::encode(&parameters));
        set(keys::validators(), codec::encode(&validators));
        Self::of(chain, genesis.time_ms, validators, parameters, leaves)
    }

    fn of(
        chain: ChainId,
        time: TimeMs,
        validators: ValidatorSet,
        parameters: ChainParameters,
        leaves: BTreeMap<StateKey, Value>,
    ) -> Result<Self, StateError> {
        let tree = StateTree::open(MemoryStore::default(), None, 1)?;
        let hashed = leaves
            .iter()
            .map(|(key, value)| (*key, Some(ValueHash::of(value))));
        let state_root = tree.apply(None, hashed)?.root();
        let header = header(chain, time, &validators);
        let outcome = Outcome {
            state_root,
            receipts_root: merkle::receipts_root(&[]),
            next_validators: validators.digest(),
        };
        let certificate = CommitCertificate::genesis(header.digest(), outcome.digest());
        let block = SealedHeader {
            header,
            outcome,
            certificate,
        };
        Ok(Self {
            block,
            validators,
            parameters,
            leaves,
        })
    }

    /// The chain.
    pub fn chain(&self) -> ChainId {
        self.block.header.chain
    }

    /// The block's name.
    pub fn id(&self) -> BlockId {
        self.block.id()
    }

    /// What stands for the certificate of the block before genesis, in its body.
    pub fn parent_certificate() -> CommitCertificate {
        CommitCertificate::genesis(HeaderDigest::ZERO, OutcomeDigest::ZERO)
    }
}

fn header(chain: ChainId, time_ms: TimeMs, validators: &ValidatorSet) -> BlockHeader {
    BlockHeader {
        protocol: PROTOCOL,
        chain,
        epoch: validators.epoch(),
        height: Height::ZERO,
        view: View::ZERO,
        proposer: ValidatorIndex::ZERO,
        offset: 0,
        parent: BlockId::ZERO,
        parent_commit: CertificateDigest::ZERO,
        parent_view: View::ZERO,
        time_ms,
        tx_root: merkle::tx_root(&[]),
        tx_count: 0,
        history_root: History::EMPTY.root(),
        checkpoint: None,
    }
}

fn leaves(genesis: &Genesis, parameters: &ChainParameters) -> BTreeMap<StateKey, Value> {
    let mut leaves: BTreeMap<StateKey, Value> = BTreeMap::new();
    let mut set = |key, value: &[u8]| {
        leaves.insert(key, Arc::from(value));
    };
    set(keys::parameters(), &codec::encode(parameters));
    set(keys::validators(), &codec::encode(genesis.validator_set()));
    let registrars = genesis.registrars.iter().map(|r| {
        let keys = (*r.public_key.as_bytes(), r.encryption_key);
        (
            IdentityKind::Registrar,
            r.address(),
            keys,
            &r.organisation_code,
            Vec::new(),
        )
    });
    let agencies = genesis.agencies.iter().map(|a| {
        let keys = (*a.public_key.as_bytes(), a.encryption_key);
        let may_issue = a
            .may_issue
            .iter()
            .map(|name| name.as_str().to_owned())
            .collect();
        (
            IdentityKind::Agency,
            a.address(),
            keys,
            &a.organisation_code,
            may_issue,
        )
    });
    for (kind, address, (public_key, encryption_key), code, may_issue) in registrars.chain(agencies)
    {
        let record = IdentityRecord {
            kind,
            registered_height: Height::ZERO,
            registered_time: genesis.time_ms,
            agency: Address::from_bytes([0; 32]),
            registrar: Address::from_bytes([0; 32]),
            organisation_code: code.as_str().to_owned(),
            attribute_root: AttributeRoot::ZERO,
            tag: IdentityTag::ZERO,
            tag_key_version: 0,
            may_issue,
            present: IdentityVersion {
                sequence: 0,
                from_height: Height::ZERO,
                from_time: genesis.time_ms,
                public_key,
                encryption_key,
                status: IdentityStatus::Active,
                reason: 0,
                devices: Vec::new(),
            },
        };
        set(keys::identity(&address), &record.encode());
        set(keys::organisation(code.as_str()), address.as_bytes());
    }
    let rules = RulesRecord {
        rules: genesis.governance.clone(),
    };
    set(governance::keys::rules(), &rules.encode());
    let addresses = genesis.registrars.iter().map(|r| r.address()).collect();
    let registrars = RegistrarsRecord { addresses };
    set(governance::keys::registrars(), &registrars.encode());
    let names: BTreeSet<_> = genesis.catalogue.iter().map(|t| t.name.as_str()).collect();
    let types = TypesRecord {
        names: names.into_iter().map(str::to_owned).collect(),
    };
    set(governance::keys::types(), &types.encode());
    let members = genesis.validators.iter().map(|validator| Member {
        name: validator.name.to_string(),
        organisation_code: validator.organisation_code.to_string(),
        signed: Height::ZERO,
    });
    let members = MembersRecord {
        members: members.collect(),
        observers: Vec::new(),
    };
    set(governance::keys::members(), &members.encode());
    leaves
}
