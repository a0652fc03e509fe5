//! The accounts of a test network, and what they sign.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

use certchain_config::{Account as PublicFile, AccountKind, OrganisationCode, Problem, Title};
use certchain_proto::{
    Address, ChainId, SecretKey,
    transaction::{NONCE_BYTES, sign},
    wire::v1::{
        IdentityKind, RegisterIdentity, ReinstateIdentity, RevokeIdentity, RotateKey,
        SignedTransaction, SuspendIdentity, TransactionBody, transaction_body::Kind,
    },
};

/// The reason code that fixtures give.
pub const REASON: u32 = 7;

/// Organisation code of the agency.
pub const AGENCY_CODE: &str = "AGENCY-1";
/// Organisation code of the school.
pub const SCHOOL_CODE: &str = "SCHOOL-1";

/// Derives 32 bytes from a seed, a purpose and a number.
pub fn derive(seed: &[u8; 32], purpose: &str, number: u64) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_keyed(seed);
    hasher.update(purpose.as_bytes());
    hasher.update(&number.to_le_bytes());
    *hasher.finalize().as_bytes()
}

/// Wall-clock time in milliseconds, as transactions name it.
pub fn now_ms() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Somebody with keys.
#[derive(Debug)]
pub struct Account {
    /// The key with which it signs now.
    pub key: SecretKey,
    /// X25519 key.
    pub encryption_key: [u8; 32],
    /// The address, which stays when keys change.
    pub address: Address,
}

impl Account {
    /// The account with this seed.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        let key = SecretKey::from_seed(seed);
        let mut encryption_key = derive(seed, "encryption key", 0);
        // Below 2^255: the canonical form of an X25519 key.
        encryption_key[31] &= 0x7f;
        let address = Address::of(key.public());
        Self {
            key,
            encryption_key,
            address,
        }
    }

    /// The same account with the keys that it changes to for the `number`th time.
    pub fn rotated(&self, number: u64) -> Self {
        let seed = derive(&self.key.to_seed(), "rotated", number);
        Self {
            address: self.address,
            ..Self::from_seed(&seed)
        }
    }

    fn public_file(
        &self,
        name: &str,
        kind: AccountKind,
        code: &str,
    ) -> Result<PublicFile, Problem> {
        Ok(PublicFile {
            name: Title::parse(name)?,
            kind,
            organisation_code: Some(OrganisationCode::parse(code)?),
            public_key: self.key.public().clone(),
            encryption_key: self.encryption_key,
        })
    }
}

/// The registrar and the certifying agency of a test network; they register whom tests need.
#[derive(Debug)]
pub struct Office {
    /// The chain that they sign for.
    pub chain: ChainId,
    /// The information centre.
    pub registrar: Account,
    /// The certifying agency. It is accredited for every type of certificate.
    pub agency: Account,
    /// A second agency, accredited for degrees alone.
    pub school: Account,
    /// How long their transactions are valid.
    pub validity_ms: u64,
    seed: [u8; 32],
    nonces: AtomicU64,
}

impl Office {
    /// The office whose keys come from this seed; its chain is set once there is a genesis.
    pub fn new(seed: [u8; 32], validity_ms: u64) -> Self {
        Self {
            chain: ChainId::main(&[]),
            registrar: Account::from_seed(&derive(&seed, "registrar", 0)),
            agency: Account::from_seed(&derive(&seed, "agency", 0)),
            school: Account::from_seed(&derive(&seed, "school", 0)),
            validity_ms,
            seed,
            nonces: AtomicU64::new(0),
        }
    }

    /// The registrar's public file.
    ///
    /// # Errors
    /// Never: the names are valid.
    pub fn registrar_account(&self) -> Result<PublicFile, Problem> {
        let kind = AccountKind::Registrar;
        self.registrar
            .public_file("Information Centre", kind, "REGISTRAR-1")
    }

    /// The agency's public file.
    ///
    /// # Errors
    /// Never: the names are valid.
    pub fn agency_account(&self) -> Result<PublicFile, Problem> {
        self.agency
            .public_file("Office of Civil Affairs", AccountKind::Agency, AGENCY_CODE)
    }

    /// The school's public file.
    ///
    /// # Errors
    /// Never: the names are valid.
    pub fn school_account(&self) -> Result<PublicFile, Problem> {
        self.school
            .public_file("University", AccountKind::Agency, SCHOOL_CODE)
    }

    /// Somebody who may come to the counter.
    pub fn person(&self, number: u64) -> Account {
        Account::from_seed(&derive(&self.seed, "person", number))
    }

    /// The pseudonym of a person's document.
    pub fn tag(&self, number: u64) -> [u8; 32] {
        derive(&self.seed, "tag", number)
    }

    /// 16 bytes that no other body has.
    pub fn nonce(&self) -> Vec<u8> {
        let number = self.nonces.fetch_add(1, Ordering::Relaxed);
        derive(&self.seed, "nonce", number)
            .into_iter()
            .take(NONCE_BYTES)
            .collect()
    }

    /// A body, valid from now on.
    pub fn body(&self, kind: Kind) -> TransactionBody {
        TransactionBody {
            chain_id: self.chain.as_bytes().to_vec(),
            nonce: self.nonce(),
            valid_until_ms: now_ms() + self.validity_ms,
            kind: Some(kind),
        }
    }

    /// What registers a citizen with this document.
    pub fn registration(&self, holder: &Account, tag: [u8; 32]) -> RegisterIdentity {
        RegisterIdentity {
            kind: IdentityKind::Citizen.into(),
            public_key: holder.key.public().as_bytes().to_vec(),
            encryption_key: holder.encryption_key.to_vec(),
            attribute_root: derive(&self.seed, "attributes", u64::from(tag[0])).to_vec(),
            tag: tag.to_vec(),
            tag_key_version: 1,
            agency: self.agency.address.as_bytes().to_vec(),
            registrar: self.registrar.address.as_bytes().to_vec(),
            organisation_code: String::new(),
        }
    }

    /// Signs for agency, registrar and holder.
    pub fn sign_registration(&self, holder: &Account, body: &TransactionBody) -> SignedTransaction {
        sign(body, &[&self.agency.key, &self.registrar.key, &holder.key])
    }

    /// Registers a person.
    pub fn register(&self, number: u64) -> SignedTransaction {
        let holder = self.person(number);
        let registration = self.registration(&holder, self.tag(number));
        self.sign_registration(&holder, &self.body(Kind::RegisterIdentity(registration)))
    }

    /// Changes an account's keys.
    pub fn rotate(&self, from: &Account, to: &Account) -> SignedTransaction {
        let kind = Kind::RotateKey(RotateKey {
            address: from.address.as_bytes().to_vec(),
            public_key: to.key.public().as_bytes().to_vec(),
            encryption_key: to.encryption_key.to_vec(),
        });
        sign(&self.body(kind), &[&from.key, &to.key])
    }

    /// The agency suspends.
    pub fn suspend(&self, address: &Address) -> SignedTransaction {
        let kind = Kind::SuspendIdentity(SuspendIdentity {
            address: address.as_bytes().to_vec(),
            authority: self.agency.address.as_bytes().to_vec(),
            reason: REASON,
        });
        sign(&self.body(kind), &[&self.agency.key])
    }

    /// The registrar reinstates.
    pub fn reinstate(&self, address: &Address) -> SignedTransaction {
        let kind = Kind::ReinstateIdentity(ReinstateIdentity {
            address: address.as_bytes().to_vec(),
            authority: self.registrar.address.as_bytes().to_vec(),
            reason: REASON,
        });
        sign(&self.body(kind), &[&self.registrar.key])
    }

    /// Agency and registrar revoke.
    pub fn revoke(&self, address: &Address) -> SignedTransaction {
        let kind = Kind::RevokeIdentity(RevokeIdentity {
            address: address.as_bytes().to_vec(),
            agency: self.agency.address.as_bytes().to_vec(),
            registrar: self.registrar.address.as_bytes().to_vec(),
            reason: REASON,
            end: 0,
        });
        sign(&self.body(kind), &[&self.agency.key, &self.registrar.key])
    }
}
