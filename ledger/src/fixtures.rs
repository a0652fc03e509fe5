//! A small network with all its keys, for tests.
#![allow(clippy::unwrap_used, clippy::expect_used)]
#![cfg_attr(not(feature = "store"), allow(dead_code))]

use certchain_config::{
    Genesis, GenesisAgency, GenesisContent, GenesisRegistrar, GenesisValidator, Limits, Name,
    OrganisationCode, Timers, Title,
};
use certchain_proto::{
    Address, BlockHeader, ChainId, CommitCertificate, CommitVote, Outcome, SecretKey, TimeMs, View,
    block::PROTOCOL,
    certificate::IndexedSignature,
    transaction::{Transaction, sign},
    wire::v1::{
        self, RegisterIdentity, SignedTransaction, TransactionBody, transaction_body::Kind,
    },
};
use prost::Message as _;

use crate::signatures::{TransactionVerifier, VerifiedTransaction};

/// Time of the genesis block.
pub(crate) const START: TimeMs = TimeMs::new(1_700_000_000_000);

pub(crate) fn secret(purpose: &str, number: u64) -> SecretKey {
    let mut hasher = blake3::Hasher::new();
    hasher
        .update(purpose.as_bytes())
        .update(&number.to_le_bytes());
    SecretKey::from_seed(hasher.finalize().as_bytes())
}

pub(crate) fn bytes(purpose: &str, number: u64) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher
        .update(purpose.as_bytes())
        .update(&number.to_be_bytes());
    let mut bytes = *hasher.finalize().as_bytes();
    // Below 2^255 - 19, so that it can be an X25519 key too.
    bytes[31] &= 0x3f;
    bytes
}

pub(crate) fn address_of(key: &SecretKey) -> Address {
    Address::of(key.public())
}

pub(crate) fn envelope(transaction: &Transaction) -> SignedTransaction {
    SignedTransaction::decode(transaction.encoded()).unwrap()
}

pub(crate) fn verified(transactions: Vec<Transaction>) -> Vec<VerifiedTransaction> {
    let answers = TransactionVerifier::default().verify(transactions);
    answers.into_iter().map(Result::unwrap).collect()
}

pub(crate) struct Network {
    pub(crate) genesis: Genesis,
    pub(crate) validators: Vec<SecretKey>,
    pub(crate) agency: SecretKey,

    pub(crate) registrar: SecretKey,
}

impl Network {
    pub(crate) fn new(validators: u64) -> Self {
        Self::with_limits(validators, |_| ())
    }

    pub(crate) fn with_limits(validators: u64, change: impl FnOnce(&mut Limits)) -> Self {
        let agency = secret("agency", 0);
        let other_agency = secret("agency", 1);
        let registrar = secret("registrar", 0);
        let keys: Vec<SecretKey> = (0..validators).map(|n| secret("vote", n)).collect();
        let members = keys.iter().enumerate().map(|(n, key)| GenesisValidator {
            name: Name::parse(&format!("node{n}")).unwrap(),
            organisation_code: OrganisationCode::parse(&format!("NODE-{n}")).unwrap(),
            vote_key: key.public().clone(),
            network_key: secret("network", n as u64).public().clone(),
        });
        let an_agency = |key: &SecretKey, n: u64| GenesisAgency {
            name: Title::parse("Civil Affairs").unwrap(),
            organisation_code: OrganisationCode::parse(&format!("AGENCY-{n}")).unwrap(),
            public_key: key.public().clone(),
            encryption_key: bytes("agency encryption", n),
            may_issue: Vec::new(),
        };
        let mut limits = Limits::default();
        change(&mut limits);
        let genesis = Genesis::new(GenesisContent {
            protocol: PROTOCOL,
            network: Name::parse("test").unwrap(),
            time_ms: START,
            validators: members.collect(),
            registrars: vec![GenesisRegistrar {
                name: Title::parse("Information Centre").unwrap(),
                organisation_code: OrganisationCode::parse("CENTRE").unwrap(),
                public_key: registrar.public().clone(),
                encryption_key: bytes("registrar encryption", 0),
            }],
            agencies: vec![an_agency(&agency, 0), an_agency(&other_agency, 1)],
            catalogue: Vec::new(),
            limits,
            timers: Timers {
                recovery_wait_ms: 60_000,
                ..Timers::default()
            },
            tag_key_version: 1,
            governance: certchain_config::Governance::default(),
        })
        .unwrap();
        Self {
            genesis,
            validators: keys,
            agency,
            registrar,
        }
    }

    pub(crate) fn chain(&self) -> ChainId {
        self.genesis.chain_id()
    }

    /// The holder's key of registration `n`.
    pub(crate) fn holder(n: u64) -> SecretKey {
        secret("holder", n)
    }

    /// A valid registration message of holder `n`, to be changed at will.
    pub(crate) fn register_message(&self, n: u64) -> RegisterIdentity {
        RegisterIdentity {
            kind: v1::IdentityKind::Citizen as i32,
            public_key: Self::holder(n).public().as_bytes().to_vec(),
            encryption_key: bytes("encryption", n).to_vec(),
            attribute_root: bytes("attributes", n).to_vec(),
            tag: bytes("tag", n).to_vec(),
            tag_key_version: 1,
            agency: address_of(&self.agency).as_bytes().to_vec(),
            registrar: address_of(&self.registrar).as_bytes().to_vec(),
            organisation_code: String::new(),
        }
    }

    /// A valid registration of holder `n`.
    pub(crate) fn registration(&self, n: u64, valid_until: TimeMs) -> Transaction {
        let message = Kind::RegisterIdentity(self.register_message(n));
        let holder = Self::holder(n);
        self.signed(
            message,
            valid_until,
            n,
            &[&self.agency, &self.registrar, &holder],
        )
    }

    /// Any transaction.
    pub(crate) fn signed(
        &self,
        kind: Kind,
        valid_until: TimeMs,
        nonce: u64,
        signers: &[&SecretKey],
    ) -> Transaction {
        let body = TransactionBody {
            chain_id: self.chain().as_bytes().to_vec(),
            nonce: bytes("nonce", nonce)[..16].to_vec(),
            valid_until_ms: valid_until.get(),
            kind: Some(kind),
        };
        Transaction::from_envelope(sign(&body, signers)).unwrap()
    }

    /// The certificate that all validators make for a block.
    pub(crate) fn certify(&self, header: &BlockHeader, outcome: &Outcome) -> CommitCertificate {
        self.certify_in(header, outcome, header.view)
    }

    pub(crate) fn certify_in(
        &self,
        header: &BlockHeader,
        outcome: &Outcome,
        view: View,
    ) -> CommitCertificate {
        let vote = CommitVote {
            chain: header.chain,
            epoch: header.epoch,
            height: header.height,
            view,
            header: header.digest(),
            outcome: outcome.digest(),
        };
        let hash = vote.signing_hash();
        let set = self.genesis.validator_set();
        let mut signatures: Vec<IndexedSignature> = self
            .validators
            .iter()
            .map(|key| IndexedSignature {
                validator: set.index_of(key.public()).unwrap(),
                signature: key.sign(&hash),
            })
            .collect();
        signatures.sort_by_key(|s| s.validator);
        CommitCertificate {
            epoch: header.epoch,
            height: header.height,
            view,
            header: vote.header,
            outcome: vote.outcome,
            signatures,
        }
    }
}

#[cfg(feature = "store")]
pub(crate) use on_disk::*;

/// A chain in a folder of its own.
#[cfg(feature = "store")]
mod on_disk {
    use std::path::Path;

    use certchain_proto::{BlockHeader, TimeMs, ValidatorIndex, View, block::PROTOCOL};

    use super::{Network, START, verified};
    use crate::{
        chain::{Chain, ChainOptions, ChainRules, CheckedBlock, Committed, Draft, Executed},
        genesis::GenesisBlock,
        governance::GovernanceApplication,
        signatures::VerifiedTransaction,
        store::{Store, StoreOptions},
    };

    pub(crate) const NAME: &str = "main";

    pub(crate) struct Node {
        pub(crate) network: Network,
        pub(crate) genesis: GenesisBlock,
        pub(crate) folder: tempfile::TempDir,
        pub(crate) chain: Chain,
    }

    pub(crate) fn small() -> StoreOptions {
        StoreOptions {
            cache_bytes: 4 << 20,
            write_buffer_bytes: 16 << 20,
            ..StoreOptions::default()
        }
    }

    pub(crate) fn open(path: &Path, genesis: &GenesisBlock) -> Chain {
        let store = Store::open(path, &small()).unwrap();
        let rules = ChainRules::main(GovernanceApplication);
        Chain::open(store, NAME, genesis, rules, ChainOptions::default()).unwrap()
    }

    impl Node {
        pub(crate) fn new() -> Self {
            Self::of(Network::new(4))
        }

        pub(crate) fn of(network: Network) -> Self {
            let genesis = GenesisBlock::main(&network.genesis).unwrap();
            let folder = tempfile::tempdir().unwrap();
            let chain = open(folder.path(), &genesis);
            Self {
                network,
                genesis,
                folder,
                chain,
            }
        }

        /// Closes and opens again.
        pub(crate) fn reopen(self) -> Self {
            let Self {
                network,
                genesis,
                folder,
                chain,
            } = self;
            drop(chain);
            let chain = open(folder.path(), &genesis);
            Self {
                network,
                genesis,
                folder,
                chain,
            }
        }

        /// Registrations that are valid in the next blocks.
        pub(crate) fn registrations(
            &self,
            numbers: std::ops::Range<u64>,
        ) -> Vec<VerifiedTransaction> {
            let head = self.chain.head();
            let window = head.parameters.limits.transaction_window_ms;
            let until = head.time().saturating_add(window.min(300_000));
            verified(
                numbers
                    .map(|n| self.network.registration(n, until))
                    .collect(),
            )
        }

        pub(crate) fn next_time(&self) -> TimeMs {
            self.chain.head().time().max(START).saturating_add(1_000)
        }

        /// The header that the engine would make of a draft in a view.
        pub(crate) fn header(&self, draft: &Draft, view: u32) -> BlockHeader {
            let head = self.chain.head();
            let offset = head.next_offset();
            let members = head.validators.len() as u64;
            BlockHeader {
                protocol: PROTOCOL,
                chain: self.chain.id(),
                epoch: head.validators.epoch(),
                height: head.height().next(),
                view: View::new(view),
                proposer: ValidatorIndex::new(((offset + u64::from(view)) % members) as u16),
                offset,
                parent: head.id,
                parent_commit: head.certificate.digest(),
                parent_view: head.certificate.view,
                time_ms: draft.time,
                tx_root: draft.tx_root,
                tx_count: draft.transactions.len() as u32,
                history_root: draft.history_root,
                checkpoint: None,
            }
        }

        pub(crate) fn check(&self, transactions: Vec<VerifiedTransaction>) -> CheckedBlock {
            let time = match transactions.is_empty() {
                true => self.next_time().saturating_add(60_000),
                false => self.next_time(),
            };
            let draft = self.chain.draft(transactions, time).unwrap();
            assert!(draft.refused.is_empty(), "{:?}", draft.refused);
            let header = self.header(&draft, 0);
            let parent = self.chain.head().certificate.clone();
            self.chain
                .check_block(header, parent, draft.transactions)
                .unwrap()
        }

        pub(crate) fn execute(&self, transactions: Vec<VerifiedTransaction>) -> Executed {
            let block = self.check(transactions);
            self.chain.store_body(&block).unwrap();
            self.chain.execute(block).unwrap()
        }

        /// One block with these transactions, decided by all.
        pub(crate) fn commit(&self, transactions: Vec<VerifiedTransaction>) -> Committed {
            let executed = self.execute(transactions);
            let certificate = self.network.certify(executed.header(), executed.outcome());
            self.chain.commit(executed, certificate).unwrap()
        }
    }

    /// A node with registrations, changes of keys and status, conflicts, empty blocks and views.
    pub(crate) fn lived() -> Node {
        use certchain_proto::wire::v1::{RotateKey, SuspendIdentity, transaction_body::Kind};

        use super::{address_of, bytes, secret};

        let node = Node::new();
        node.commit(node.registrations(0..7));
        node.commit(Vec::new());
        for round in 0..3u64 {
            let until = node.chain.head().time().saturating_add(300_000);
            let holder = Network::holder(round);
            let next = secret("next", round);
            let rotate = Kind::RotateKey(RotateKey {
                address: address_of(&holder).as_bytes().to_vec(),
                public_key: next.public().as_bytes().to_vec(),
                encryption_key: bytes("rotated", round).to_vec(),
            });
            let suspend = Kind::SuspendIdentity(SuspendIdentity {
                address: address_of(&Network::holder(5)).as_bytes().to_vec(),
                authority: address_of(&node.network.agency).as_bytes().to_vec(),
                reason: 3,
            });
            let sign =
                |kind, nonce, signers: &[_]| node.network.signed(kind, until, nonce, signers);
            let mut changes = vec![sign(rotate, 500 + round, &[&holder, &next])];
            if round == 1 {
                // Two that agree alone and not together.
                changes.push(sign(suspend.clone(), 600, &[&node.network.agency]));
                changes.push(sign(suspend, 601, &[&node.network.agency]));
            }
            let mut all = node.registrations(10 * (round + 1)..10 * (round + 1) + 6);
            all.extend(verified(changes));
            node.commit(all);
        }
        node
    }
}
