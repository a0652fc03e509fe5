//! The network's genesis, and what its offices sign: registrations on main, certificates on the side
//! chains, anchors and restart notices.

use certchain_config::{
    CertificateType, Genesis, GenesisAgency, GenesisContent, GenesisRegistrar, GenesisValidator,
    Limits, Name, OrganisationCode, SideChain, Timers, Title,
    catalogue::{Field, FieldKind},
};
use certchain_ledger::signatures::{TransactionVerifier, VerifiedTransaction};
use certchain_proto::{
    Address, ChainId, SecretKey, TimeMs,
    block::PROTOCOL,
    hash::{CertificateId, FieldRoot},
    transaction::{Transaction, sign},
    wire::v1::{
        CertificateDraft, EncryptedFields, IdentityKind, IssueCertificate, RegisterIdentity,
        RestartNotice, RevokeCertificate, TransactionBody, encrypted_fields::Content,
        transaction_body::Kind,
    },
};
use certchain_sidechain::network::NetworkGenesis;
use certchain_simulator::keys;

use crate::faulty::Strange;

/// Time of the genesis blocks.
pub const START: u64 = 1_760_000_000_000;

/// The side chains that the nodes follow.
pub const SIDES: [SideChain; 2] = [SideChain::Degree, SideChain::Health];

/// How long a wish is good for: long enough to meet every fault, short enough to expire in a run.
const GOOD_FOR_MS: u64 = 9_000;

/// From this number on are people whom only faulty validators know of.
const STRANGERS: u64 = 1 << 32;

/// The genesis and who acts in it.
#[derive(Debug)]
pub struct Town {
    /// Main's genesis and those of all side chains.
    pub genesis: NetworkGenesis,
    nonce: u64,
    strangers: u64,
}

fn bytes(purpose: &str, number: u64) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher
        .update(purpose.as_bytes())
        .update(&number.to_le_bytes());
    let mut bytes = *hasher.finalize().as_bytes();
    // Below 2^255 - 19, so that it can be an X25519 key too.
    bytes[31] &= 0x3f;
    bytes
}

fn secret(purpose: &str, number: u64) -> SecretKey {
    SecretKey::from_seed(&bytes(purpose, number))
}

/// The type of certificate that a chain keeps here.
pub const fn type_name(side: SideChain) -> &'static str {
    match side {
        SideChain::Marriage => "marriage",
        SideChain::Property => "property",
        SideChain::Degree => "degree",
        SideChain::Business => "business_licence",
        SideChain::Health => "health_certificate",
    }
}

fn certificate_type(side: SideChain) -> CertificateType {
    CertificateType {
        chain: side,
        name: Name::parse(type_name(side)).expect("a good name"),
        title: Title::parse(side.name()).expect("a good title"),
        validity_days: matches!(side, SideChain::Health).then_some(365),
        fields: vec![Field {
            name: Name::parse("subject").expect("a good name"),
            title: Title::parse("Subject").expect("a good title"),
            kind: FieldKind::Text,
            max_bytes: 64,
            required: true,
        }],
    }
}

/// Timers with less patience than a daemon's.
fn timers() -> Timers {
    Timers {
        view_timeout_ms: 800,
        view_timeout_cap_ms: 6_000,
        heartbeat_ms: 3_000,
        side_heartbeat_ms: 4_000,
        staleness_ms: 12_000,
        clock_bound_ms: 2_500,
        clock_bound_cap_ms: 30_000,
        rotation_blocks: 7,
        block_interval_ms: 0,
        anchor_interval_ms: 1_000,
        anchor_blocks: 4,
        recovery_wait_ms: 60_000,
    }
}

fn registrar() -> SecretKey {
    secret("registrar", 0)
}

fn school() -> SecretKey {
    secret("school", 0)
}

fn genesis(n: usize) -> Genesis {
    let code = |text: String| OrganisationCode::parse(&text).expect("a good code");
    let validators = (0..n).map(|i| GenesisValidator {
        name: Name::parse(&format!("node{i}")).expect("a good name"),
        organisation_code: code(format!("NODE-{i}")),
        vote_key: keys::key(i).public().clone(),
        network_key: secret("network", i as u64).public().clone(),
    });
    Genesis::new(GenesisContent {
        protocol: PROTOCOL,
        network: Name::parse("simulated").expect("a good name"),
        time_ms: TimeMs::new(START),
        validators: validators.collect(),
        registrars: vec![GenesisRegistrar {
            name: Title::parse("Centre").expect("a good title"),
            organisation_code: code("CENTRE".to_owned()),
            public_key: registrar().public().clone(),
            encryption_key: bytes("registrar encryption", 0),
        }],
        agencies: vec![GenesisAgency {
            name: Title::parse("School").expect("a good title"),
            organisation_code: code("SCHOOL".to_owned()),
            public_key: school().public().clone(),
            encryption_key: bytes("school encryption", 0),
            may_issue: SIDES
                .iter()
                .map(|side| Name::parse(type_name(*side)).expect("a good name"))
                .collect(),
        }],
        catalogue: SIDES.iter().map(|side| certificate_type(*side)).collect(),
        limits: Limits {
            transaction_window_ms: 30_000,
            block_transactions: 20,
            ..Limits::default()
        },
        timers: timers(),
        tag_key_version: 1,
        governance: certchain_config::Governance::default(),
    })
    .expect("a good genesis")
}

/// A person's address.
pub fn person(number: u64) -> Address {
    Address::of(secret("person", number).public())
}

fn raw(address: &Address) -> Vec<u8> {
    address.as_bytes().to_vec()
}

impl Town {
    /// A network of `n` validators.
    pub fn new(n: usize) -> Self {
        let genesis = NetworkGenesis::new(&genesis(n)).expect("its state");
        Self {
            genesis,
            nonce: 0,
            strangers: STRANGERS,
        }
    }

    fn signed(
        &mut self,
        chain: ChainId,
        kind: Kind,
        now: u64,
        keys: &[&SecretKey],
    ) -> VerifiedTransaction {
        self.nonce += 1;
        let nonce = bytes("nonce", self.nonce)[..16].to_vec();
        signed(chain, nonce, now + GOOD_FOR_MS, kind, keys)
    }

    /// The registration of person `number` on main.
    pub fn register(&mut self, chain: ChainId, number: u64, now: u64) -> VerifiedTransaction {
        self.register_with(chain, number, number, now)
    }

    /// The registration of the person whose document has one number with the keys of another.
    fn register_with(
        &mut self,
        chain: ChainId,
        document: u64,
        number: u64,
        now: u64,
    ) -> VerifiedTransaction {
        let holder = secret("person", number);
        let (school, registrar) = (school(), registrar());
        let message = RegisterIdentity {
            kind: IdentityKind::Citizen as i32,
            public_key: holder.public().as_bytes().to_vec(),
            encryption_key: bytes("person encryption", number).to_vec(),
            attribute_root: bytes("attributes", number).to_vec(),
            tag: bytes("tag", document).to_vec(),
            tag_key_version: 1,
            agency: raw(&Address::of(school.public())),
            registrar: raw(&Address::of(registrar.public())),
            organisation_code: String::new(),
        };
        let kind = Kind::RegisterIdentity(message);
        self.signed(chain, kind, now, &[&school, &registrar, &holder])
    }

    /// A certificate for person `number`, with its id.
    pub fn issue(
        &mut self,
        chain: ChainId,
        side: SideChain,
        number: u64,
        now: u64,
    ) -> (VerifiedTransaction, CertificateId) {
        let school = school();
        let issuer = Address::of(school.public());
        let field_root = bytes("fields", self.nonce);
        let mut nonce = [0; 16];
        nonce.copy_from_slice(&bytes("certificate", self.nonce)[..16]);
        let draft = CertificateDraft {
            r#type: type_name(side).to_owned(),
            holders: vec![raw(&person(number))],
            field_root: field_root.to_vec(),
            nonce: nonce.to_vec(),
            valid_from_ms: 0,
            valid_until_ms: 0,
            claim: Vec::new(),
            encrypted: vec![EncryptedFields {
                recipient_key: bytes("person encryption", number).to_vec(),
                encapsulated_key: bytes("encapsulated", 0).to_vec(),
                content: Some(Content::Ciphertext(vec![7; 100])),
            }],
        };
        let root = FieldRoot::from_bytes(field_root);
        let id = CertificateId::of(&chain, &issuer, type_name(side), &root, &nonce);
        let kind = Kind::IssueCertificate(IssueCertificate {
            issuer: raw(&issuer),
            certificate: Some(draft),
            holders_sign: false,
        });
        (self.signed(chain, kind, now, &[&school]), id)
    }

    /// The revocation of a certificate.
    pub fn revoke(&mut self, chain: ChainId, id: &CertificateId, now: u64) -> VerifiedTransaction {
        let school = school();
        let kind = Kind::RevokeCertificate(RevokeCertificate {
            certificate: id.as_bytes().to_vec(),
            authority: raw(&Address::of(school.public())),
            reason: 1,
        });
        self.signed(chain, kind, now, &[&school])
    }

    /// What a faulty validator makes up for a chain.
    pub fn strange(
        &mut self,
        chain: ChainId,
        side: Option<SideChain>,
        strange: Strange,
        now: u64,
    ) -> VerifiedTransaction {
        self.strangers += 1;
        let now = match strange {
            Strange::Unseen | Strange::Refused => now,
            Strange::Expired => now - 2 * GOOD_FOR_MS,
            Strange::TooFar => now + 100 * GOOD_FOR_MS,
        };
        let number = match strange {
            // Somebody who has an identity already, or will have: the tag is the same.
            Strange::Refused => 1,
            Strange::Unseen | Strange::Expired | Strange::TooFar => self.strangers,
        };
        match side {
            None => self.register_with(chain, number, self.strangers, now),
            // For somebody who is not registered: no chain takes it.
            Some(side) if strange == Strange::Refused => {
                self.issue(chain, side, self.strangers, now).0
            }
            Some(side) => self.issue(chain, side, 1, now).0,
        }
    }

    /// What validator `node` itself submits: anchors.
    pub fn by_validator(
        &mut self,
        chain: ChainId,
        node: usize,
        kind: Kind,
        now: u64,
    ) -> VerifiedTransaction {
        self.signed(chain, kind, now, &[keys::key(node)])
    }

    /// The notice of validator `node` that it lost its journal; the same one each time in a while.
    pub fn restart_notice(
        chain: ChainId,
        notice: RestartNotice,
        node: usize,
        now: u64,
    ) -> VerifiedTransaction {
        let nonce = notice.restart_nonce.iter().take(16).copied().collect();
        let until = (now / GOOD_FOR_MS + 2) * GOOD_FOR_MS;
        let kind = Kind::RestartNotice(notice);
        signed(chain, nonce, until, kind, &[keys::key(node)])
    }
}

fn signed(
    chain: ChainId,
    nonce: Vec<u8>,
    valid_until_ms: u64,
    kind: Kind,
    keys: &[&SecretKey],
) -> VerifiedTransaction {
    let body = TransactionBody {
        chain_id: chain.as_bytes().to_vec(),
        nonce,
        valid_until_ms,
        kind: Some(kind),
    };
    let transaction = Transaction::from_envelope(sign(&body, keys)).expect("a good transaction");
    let mut verified = TransactionVerifier::default().verify(vec![transaction]);
    let verified = verified.pop().expect("one answer");
    verified.expect("good signatures")
}
