//! A side chain in memory, with people, agencies and a state of main.

use std::{
    cell::RefCell,
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use certchain_config::{
    catalogue::{CertificateType, Field, FieldKind, SideChain},
    names::{Name, Title},
};
use certchain_ledger::{
    execution::{
        Application, BlockContext, BlockEffects, Effects, MainState, ParentSigners, check_envelope,
        evaluate, run_block,
    },
    identity::{self, IdentityKind, IdentityRecord, IdentityStatus, IdentityVersion},
    parameters::ChainParameters,
    refusal::Refusal,
    signatures::{TransactionVerifier, VerifiedTransaction},
    state::StateKey,
    view::{ReadError, StateView, Value},
};
use certchain_proto::{
    Address, ChainId, Epoch, Height, SecretKey, TimeMs, Validator, ValidatorSet,
    block::Checkpoint,
    context,
    hash::{AttributeRoot, BlockId, CertificateId, FieldRoot, IdentityTag, StateRoot, hash_parts},
    transaction::{Transaction, sign},
    wire::v1::{CertificateDraft, Code, TransactionBody, transaction_body::Kind},
};

use super::wishes::{accept, encrypted, issue};
use crate::{
    certificate::{CertificateApplication, CertificateRecord, keys},
    genesis::genesis_leaves,
};

pub(super) const START: u64 = 1_700_000_000_000;
pub(super) const BLOCK_MS: u64 = 1_000;

/// Somebody: a kind of account and a number.
pub(super) type Who = (IdentityKind, u64);

pub(super) const fn citizen(n: u64) -> Who {
    (IdentityKind::Citizen, n)
}

pub(super) const fn company(n: u64) -> Who {
    (IdentityKind::Organisation, n)
}

/// Agencies 0 and 1 may issue all types, 2 none.
pub(super) const fn agency(n: u64) -> Who {
    (IdentityKind::Agency, n)
}

pub(super) const fn verifier(n: u64) -> Who {
    (IdentityKind::Verifier, n)
}

pub(super) fn bytes(purpose: &str, number: u64) -> [u8; 32] {
    let mut bytes = hash_parts(
        context::CONTENT,
        &[b"test ", purpose.as_bytes(), &number.to_le_bytes()],
    );
    // Below 2^255 - 19, so that it can be an X25519 key too.
    bytes[31] &= 0x3f;
    bytes
}

pub(super) fn key(who: Who) -> SecretKey {
    SecretKey::from_seed(&bytes(&format!("key of {:?}", who.0), who.1))
}

pub(super) fn encryption_key(who: Who) -> [u8; 32] {
    bytes(&format!("encryption key of {:?}", who.0), who.1)
}

pub(super) fn address(who: Who) -> Address {
    Address::of(key(who).public())
}

pub(super) fn raw(who: Who) -> Vec<u8> {
    address(who).as_bytes().to_vec()
}

pub(super) const fn type_name(chain: SideChain) -> &'static str {
    match chain {
        SideChain::Marriage => "marriage",
        SideChain::Property => "property",
        SideChain::Degree => "degree",
        SideChain::Business => "business_licence",
        SideChain::Health => "health_certificate",
    }
}

/// An entry of the catalogue; only health certificates have an end there.
pub(super) fn entry(chain: SideChain, name: &str) -> CertificateType {
    CertificateType {
        chain,
        name: Name::parse(name).unwrap(),
        title: Title::parse(chain.name()).unwrap(),
        validity_days: matches!(chain, SideChain::Health).then_some(365),
        fields: vec![Field {
            name: Name::parse("parcel").unwrap(),
            title: Title::parse("Parcel").unwrap(),
            kind: FieldKind::Text,
            max_bytes: 64,
            required: true,
        }],
    }
}

pub(super) fn catalogue() -> Vec<CertificateType> {
    let all = SideChain::ALL.into_iter();
    all.map(|chain| entry(chain, type_name(chain))).collect()
}

pub(super) struct World {
    pub(super) chain: SideChain,
    pub(super) application: CertificateApplication,
    pub(super) side: HashMap<StateKey, Value>,
    pub(super) main: HashMap<StateKey, Value>,
    pub(super) has_main: bool,
    pub(super) parameters: ChainParameters,
    validators: ValidatorSet,
    pub(super) height: u64,
    nonce: u64,
}

/// A view that remembers which keys were asked for.
struct Spy<'a> {
    below: &'a HashMap<StateKey, Value>,
    read: RefCell<BTreeSet<StateKey>>,
}

impl StateView for Spy<'_> {
    fn value(&self, key: &StateKey) -> Result<Option<Value>, ReadError> {
        self.read.borrow_mut().insert(*key);
        self.below.value(key)
    }
}

impl World {
    pub(super) fn new(chain: SideChain) -> Self {
        let member = Validator {
            vote_key: SecretKey::from_seed(&bytes("vote", 0)).public().clone(),
            network_key: bytes("network", 0),
        };
        let mut world = Self {
            chain,
            application: CertificateApplication::new(chain),
            side: genesis_leaves(chain, &catalogue()).into_iter().collect(),
            main: HashMap::new(),
            has_main: true,
            parameters: ChainParameters::default(),
            validators: ValidatorSet::new(Epoch::ZERO, vec![member]).unwrap(),
            height: 0,
            nonce: 0,
        };
        for n in 0..4 {
            world.register(citizen(n));
            world.register(company(n));
            world.register(verifier(n));
        }
        world.register((IdentityKind::Auditor, 0));
        for n in 0..3 {
            world.register(agency(n));
        }
        world
    }

    fn register(&mut self, who: Who) {
        let all = || SideChain::ALL.map(|chain| type_name(chain).to_owned());
        let record = IdentityRecord {
            kind: who.0,
            registered_height: Height::ZERO,
            registered_time: TimeMs::new(START),
            agency: Address::from_bytes([0; 32]),
            registrar: Address::from_bytes([0; 32]),
            organisation_code: String::new(),
            attribute_root: AttributeRoot::ZERO,
            tag: IdentityTag::ZERO,
            tag_key_version: 0,
            may_issue: match who {
                (IdentityKind::Agency, 0 | 1) => all().to_vec(),
                _ => Vec::new(),
            },
            present: IdentityVersion {
                sequence: 0,
                from_height: Height::ZERO,
                from_time: TimeMs::new(START),
                public_key: *key(who).public().as_bytes(),
                encryption_key: encryption_key(who),
                status: IdentityStatus::Active,
                reason: 0,
                devices: Vec::new(),
            },
        };
        let leaf = identity::keys::identity(&address(who));
        self.main.insert(leaf, Arc::from(record.encode()));
    }

    /// Changes an identity in main's state.
    pub(super) fn change(&mut self, who: Who, change: impl FnOnce(&mut IdentityRecord)) {
        let leaf = identity::keys::identity(&address(who));
        let mut record = IdentityRecord::decode(&self.main[&leaf]).unwrap();
        change(&mut record);
        self.main.insert(leaf, Arc::from(record.encode()));
    }

    pub(super) fn set_status(&mut self, who: Who, status: IdentityStatus) {
        self.change(who, |record| record.present.status = status);
    }

    pub(super) fn chain_id(&self) -> ChainId {
        ChainId::from_bytes(bytes(self.chain.name(), 0))
    }

    /// Time of the block that is next.
    pub(super) fn now(&self) -> u64 {
        START + (self.height + 1) * BLOCK_MS
    }

    fn context(&self) -> BlockContext<'_> {
        let time = TimeMs::new(self.now());
        let checkpoint = Checkpoint {
            height: Height::new(1),
            block: BlockId::ZERO,
            state_root: StateRoot::ZERO,
        };
        BlockContext {
            chain: self.chain_id(),
            height: Height::new(self.height + 1),
            time,
            parameters: &self.parameters,
            validators: &self.validators,
            main: self.has_main.then_some(MainState {
                view: &self.main,
                checkpoint,
                time,
            }),
            blocks: None,
        }
    }

    /// Evaluates a transaction alone, and checks that it reads and writes what `reads` names.
    pub(super) fn evaluate(&self, transaction: &Transaction) -> Result<Effects, Refusal> {
        let block = self.context();
        check_envelope(transaction, block.chain, block.parameters, block.time)?;
        let spy = Spy {
            below: &self.side,
            read: RefCell::default(),
        };
        let result = evaluate(&self.application, &spy, &block, transaction).unwrap();
        let named = self.application.reads(transaction);
        let issue = matches!(
            transaction.kind(),
            Kind::IssueCertificate(_) | Kind::IssueBatch(_)
        );
        for key in spy.read.borrow().iter() {
            // The certificate that holds a claim is found through the claim.
            let through = issue && key.namespace() == keys::CERTIFICATE;
            assert!(named.contains(key) || through, "{key} is read unnamed");
        }
        if let Ok(effects) = &result {
            let written: BTreeSet<_> = effects.writes.iter().map(|(key, _)| key).collect();
            assert_eq!(
                written.len(),
                effects.writes.len(),
                "a key is written twice"
            );
            for key in written {
                // Whoever ends a certificate frees what its record says that it claims.
                let freed = !issue && key.namespace() == keys::CLAIM;
                assert!(named.contains(key) || freed, "{key} is written unnamed");
            }
        }
        result
    }

    pub(super) fn sign(&mut self, kind: Kind, signers: &[Who]) -> Transaction {
        self.nonce += 1;
        let body = TransactionBody {
            chain_id: self.chain_id().as_bytes().to_vec(),
            nonce: bytes("nonce", self.nonce)[..16].to_vec(),
            valid_until_ms: self.now() + 60_000,
            kind: Some(kind),
        };
        let keys: Vec<SecretKey> = signers.iter().map(|who| key(*who)).collect();
        let keys: Vec<&SecretKey> = keys.iter().collect();
        Transaction::from_envelope(sign(&body, &keys)).unwrap()
    }

    /// The code that a wish would get in the next block, alone.
    pub(super) fn code(&mut self, kind: Kind, signers: &[Who]) -> Code {
        self.refusal(kind, signers)
            .map_or(Code::Ok, |refusal| refusal.code())
    }

    pub(super) fn refusal(&mut self, kind: Kind, signers: &[Who]) -> Option<Refusal> {
        let transaction = self.sign(kind, signers);
        self.evaluate(&transaction).err()
    }

    /// Makes one block of transactions that are good alone.
    pub(super) fn block(&mut self, transactions: Vec<Transaction>) -> BlockEffects {
        let alone = transactions.iter().map(|t| self.evaluate(t).unwrap());
        let alone = alone.collect();
        let verified = TransactionVerifier::default().verify(transactions);
        let verified: Vec<VerifiedTransaction> = verified.into_iter().map(Result::unwrap).collect();
        let done = run_block(
            &self.application,
            &self.side,
            &self.context(),
            &verified,
            alone,
            &ParentSigners::default(),
        );
        let done = done.unwrap();
        for (key, value) in &done.writes {
            match value {
                Some(value) => self.side.insert(*key, Arc::clone(value)),
                None => self.side.remove(key),
            };
        }
        self.height += 1;
        done
    }

    /// Makes a wish true in a block of its own.
    pub(super) fn apply(&mut self, kind: Kind, signers: &[Who]) -> BlockEffects {
        let transaction = self.sign(kind, signers);
        let done = self.block(vec![transaction]);
        assert_eq!(done.receipts[0].code(), Code::Ok);
        done
    }

    pub(super) fn record(&self, id: &CertificateId) -> CertificateRecord {
        CertificateRecord::decode(&self.side[&keys::certificate(id)]).unwrap()
    }

    pub(super) fn serials(&self, issuer: Who) -> u64 {
        let counter = keys::serials(&address(issuer), type_name(self.chain));
        self.side
            .get(&counter)
            .map_or(0, |value| u64::from_be_bytes((**value).try_into().unwrap()))
    }

    /// A draft in order, of the chain's type. On the property chain it claims parcel `number`.
    pub(super) fn draft(&self, number: u64, holders: &[Who]) -> CertificateDraft {
        let lasts = matches!(self.chain, SideChain::Business);
        CertificateDraft {
            r#type: type_name(self.chain).to_owned(),
            holders: holders.iter().map(|who| raw(*who)).collect(),
            field_root: bytes("field root", number).to_vec(),
            nonce: bytes("draft", number)[..16].to_vec(),
            valid_from_ms: 0,
            valid_until_ms: if lasts { START + 10_000_000 } else { 0 },
            claim: match self.chain {
                SideChain::Property => bytes("parcel", number).to_vec(),
                _ => Vec::new(),
            },
            encrypted: holders.iter().map(|who| encrypted(*who)).collect(),
        }
    }

    pub(super) fn id(&self, issuer: Who, draft: &CertificateDraft) -> CertificateId {
        CertificateId::of(
            &self.chain_id(),
            &address(issuer),
            &draft.r#type,
            &FieldRoot::from_slice(&draft.field_root).unwrap(),
            &draft.nonce.as_slice().try_into().unwrap(),
        )
    }

    /// Issues a certificate of agency 0 and accepts it for all holders.
    pub(super) fn active(&mut self, number: u64, holders: &[Who]) -> CertificateId {
        let id = self.issued(number, holders);
        for holder in holders {
            self.apply(accept(&id, *holder), &[*holder]);
        }
        id
    }

    /// Issues a certificate of agency 0.
    pub(super) fn issued(&mut self, number: u64, holders: &[Who]) -> CertificateId {
        let draft = self.draft(number, holders);
        let id = self.id(agency(0), &draft);
        let mut signers = vec![agency(0)];
        if self.chain == SideChain::Marriage {
            signers.extend(holders);
        }
        self.apply(issue(agency(0), draft), &signers);
        id
    }
}
