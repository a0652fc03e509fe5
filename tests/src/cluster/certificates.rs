//! A desk: everything that people do with certificates, through the client library and one node.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, ensure};
use certchain_client::{
    attributes::AttributeSet,
    certificate::{
        KnownType, Order, PreparedCertificate, Recipient, Showing, batch_kind, issue_kind, prepare,
        present,
    },
    connection::{ConnectOptions, Connection, ConnectionError},
    query::authorise,
    transaction::{
        Draft, Registration, Terms, accept_certificate, decline_certificate, record_check,
        register_identity, revoke_certificate,
    },
    wallet::{AccountKind, KdfParameters, NewWallet, Passphrase, Wallet},
};
use certchain_config::SideChain;
use certchain_proto::{
    Address, ChainId, PublicKey, SecretKey, TimeMs,
    hash::{CertificateId, FieldRoot, IdentityTag},
    wire::v1::{
        CheckRequest, CheckResponse, Code, QueryAuthorisation, QueryTopic, Receipt,
        SendCertificateResponse, SignedTransaction, transaction_body::Kind,
    },
};
use certchain_sidechain::{
    package::{Expected, PresentationPackage},
    presentation::{Audience, SignedPresentation},
};

use super::{
    Account, Cluster, Office,
    fixtures::now_ms,
    wait::{PATIENCE, until},
};

/// Why a certificate is declined or revoked, as tests say.
pub const REASON: u16 = 7;
/// Why a check is made, as tests say.
pub const PURPOSE: u16 = 3;
/// How long a presentation for a named verifier lasts.
const NAMED_LIFE_MS: u64 = 5 * 60_000;
/// How long one for whoever bears it lasts.
const BEARER_LIFE_MS: u64 = 50_000;

/// Everything that people do, through one node.
#[derive(Clone, Debug)]
pub struct Desk {
    /// The connection.
    pub connection: Connection,
    /// Registrar and agencies.
    pub office: Arc<Office>,
    /// Main's id.
    pub main: ChainId,
    types: Arc<BTreeMap<&'static str, KnownType>>,
    folder: PathBuf,
    people: Arc<AtomicU64>,
    window_ms: u64,
    clock_bound_ms: u64,
}

/// A certificate that was issued.
#[derive(Clone, Debug)]
pub struct Issued {
    /// As prepared by its issuer.
    pub prepared: PreparedCertificate,
    /// What the node told.
    pub sent: SendCertificateResponse,
}

impl Issued {
    /// Its id.
    pub const fn id(&self) -> CertificateId {
        self.prepared.id
    }

    /// Its chain.
    pub const fn chain(&self) -> &'static str {
        self.prepared.keeper.name()
    }

    /// The receipt.
    ///
    /// # Errors
    /// If there is none.
    pub fn receipt(&self) -> anyhow::Result<&Receipt> {
        self.sent.receipt.as_ref().context("no receipt")
    }
}

/// A field of a certificate.
pub fn field(name: &str, value: impl Into<String>) -> (String, String) {
    (name.to_owned(), value.into())
}

/// The client's clock.
pub fn now() -> TimeMs {
    TimeMs::new(now_ms())
}

/// The code of a refusal, which comes with a sentence.
///
/// # Errors
/// If it is no refusal.
pub fn code_of<T>(result: anyhow::Result<T>) -> anyhow::Result<Code> {
    let error = result.err().context("it was taken")?;
    match error.downcast_ref::<ConnectionError>() {
        Some(ConnectionError::Refused { code, message }) => {
            ensure!(message.len() > 15, "{code:?}: no sentence: '{message}'");
            Ok(*code)
        }
        _ => Err(error.context("another failure than a refusal")),
    }
}

impl Desk {
    /// Opens a desk at these nodes; the first is used as long as it answers.
    ///
    /// # Errors
    /// If the node does not tell its catalogue.
    pub async fn open(cluster: &Cluster, nodes: &[usize]) -> anyhow::Result<Self> {
        let mut urls = Vec::new();
        for node in nodes {
            urls.push(format!("http://{}", cluster.node(*node)?.addresses.grpc));
        }
        let options = ConnectOptions {
            decision_timeout: PATIENCE,
            ..ConnectOptions::default()
        };
        let connection = Connection::new(urls, options)?;
        let types = connection.catalogue("").await?;
        let types = types
            .into_iter()
            .map(|known| (known.certificate_type.chain.name(), known));
        let limits = &cluster.genesis.limits;
        Ok(Self {
            connection,
            office: Arc::clone(&cluster.office),
            main: cluster.genesis.chain_id(),
            types: Arc::new(types.collect()),
            folder: cluster.folder().to_owned(),
            // Far from the numbers of those whom loads register.
            people: Arc::new(AtomicU64::new(1 << 40)),
            window_ms: limits.transaction_window_ms,
            clock_bound_ms: cluster.genesis.timers.clock_bound_ms,
        })
    }

    /// The same people, through other nodes.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn at(&self, cluster: &Cluster, nodes: &[usize]) -> anyhow::Result<Self> {
        let mut other = Self::open(cluster, nodes).await?;
        other.people = Arc::clone(&self.people);
        Ok(other)
    }

    /// The type that a chain keeps.
    ///
    /// # Errors
    /// If there is none.
    pub fn type_of(&self, chain: &str) -> anyhow::Result<&KnownType> {
        let known = self.types.get(chain);
        known.with_context(|| format!("the catalogue has no type of chain {chain}"))
    }

    /// The id of a side chain.
    ///
    /// # Errors
    /// If there is none.
    pub fn chain(&self, chain: &str) -> anyhow::Result<ChainId> {
        Ok(self.type_of(chain)?.chain)
    }

    /// Somebody with a new wallet, who is not registered.
    ///
    /// # Errors
    /// If the wallet cannot be made.
    pub fn stranger(&self, kind: AccountKind) -> anyhow::Result<Wallet> {
        let number = self.people.fetch_add(1, Ordering::Relaxed);
        let organisation_code = match kind {
            AccountKind::Citizen | AccountKind::Auditor => String::new(),
            _ => format!("ORGANISATION-{}", number & 0xffff_ffff),
        };
        let new = NewWallet {
            name: format!("Somebody {}", number & 0xffff_ffff),
            kind,
            organisation_code,
            recovers: None,
        };
        let path = self.folder.join(format!("wallet-{number}.toml"));
        // Tests guess no passphrases.
        let kdf = KdfParameters::new(8, 1, 1).context("no such parameters")?;
        let passphrase = Passphrase::new("a passphrase of tests")?;
        Ok(Wallet::create(&path, new, &passphrase, kdf)?)
    }

    /// Somebody whom agency and registrar have registered.
    ///
    /// # Errors
    /// If the registration fails.
    pub async fn register(&self, kind: AccountKind) -> anyhow::Result<Wallet> {
        let wallet = self.stranger(kind)?;
        let name = field("name", wallet.account().name());
        let office = &self.office;
        let number = self.people.fetch_add(1, Ordering::Relaxed);
        let kind = register_identity(&Registration {
            holder: wallet.account(),
            attribute_root: AttributeSet::new(&[name])?.root(),
            tag: IdentityTag::from_bytes(office.tag(number)),
            tag_key_version: 1,
            agency: office.agency.address,
            registrar: office.registrar.address,
        });
        let mut draft = Draft::new(&self.terms(self.main).body(kind)?)?;
        draft.sign(office.agency.address, &office.agency.key)?;
        draft.sign(office.registrar.address, &office.registrar.key)?;
        draft.sign_with(&wallet)?;
        let answer = self.connection.register_identity(draft.finish()?).await?;
        ensure!(
            answer.address == wallet.address().as_bytes(),
            "another address was registered"
        );
        Ok(wallet)
    }

    /// Terms that begin now.
    pub fn terms(&self, chain: ChainId) -> Terms {
        Terms {
            chain,
            valid_until: now().saturating_add(self.window_ms / 2),
        }
    }

    /// A transaction that these sign in their order.
    ///
    /// # Errors
    /// If they are not the kind's signers.
    pub fn sign(
        &self,
        chain: &str,
        kind: Kind,
        signers: &[(Address, &SecretKey)],
    ) -> anyhow::Result<SignedTransaction> {
        let mut draft = Draft::new(&self.terms(self.chain(chain)?).body(kind)?)?;
        for (address, key) in signers {
            draft.sign(*address, key)?;
        }
        Ok(draft.finish()?)
    }

    /// Drafts and encrypts a certificate.
    ///
    /// # Errors
    /// If holders or values do not fit.
    pub fn prepare(
        &self,
        chain: &str,
        issuer: Address,
        holders: &[&Wallet],
        values: &[(String, String)],
    ) -> anyhow::Result<PreparedCertificate> {
        let holders: Vec<Recipient> = holders
            .iter()
            .map(|wallet| wallet.account().into())
            .collect();
        self.prepare_for(chain, issuer, &holders, values)
    }

    /// [`Self::prepare`] for whoever has these keys.
    ///
    /// # Errors
    /// As there.
    pub fn prepare_for(
        &self,
        chain: &str,
        issuer: Address,
        holders: &[Recipient],
        values: &[(String, String)],
    ) -> anyhow::Result<PreparedCertificate> {
        let known = self.type_of(chain)?;
        Ok(prepare(&Order {
            chain: known.chain,
            issuer,
            certificate_type: &known.certificate_type,
            values,
            holders,
            valid_from: None,
            valid_until: None,
        })?)
    }

    /// The transaction that issues a certificate; `consenting` sign too if its type wants that.
    ///
    /// # Errors
    /// If somebody is missing.
    pub fn issuance(
        &self,
        issuer: &Account,
        prepared: &PreparedCertificate,
        consenting: &[&Wallet],
    ) -> anyhow::Result<SignedTransaction> {
        let mut signers = vec![(issuer.address, &issuer.key)];
        if prepared.keeper == SideChain::Marriage {
            let holders = consenting.iter();
            signers.extend(holders.map(|wallet| (wallet.address(), wallet.signing_key())));
        }
        let kind = issue_kind(issuer.address, prepared);
        self.sign(prepared.keeper.name(), kind, &signers)
    }

    /// Drafts a certificate, issues it and waits for its block.
    ///
    /// # Errors
    /// If it is refused.
    pub async fn issue(
        &self,
        chain: &str,
        issuer: &Account,
        holders: &[&Wallet],
        values: &[(String, String)],
    ) -> anyhow::Result<Issued> {
        let prepared = self.prepare(chain, issuer.address, holders, values)?;
        let transaction = self.issuance(issuer, &prepared, holders)?;
        let sent = self.send(chain, transaction).await?;
        let issued = Issued { prepared, sent };
        let [line] = issued.sent.certificates.as_slice() else {
            anyhow::bail!("another number of certificates than one");
        };
        ensure!(line.code == i32::from(Code::Ok) && line.certificate == issued.id().as_bytes());
        Ok(issued)
    }

    /// The transaction that issues many.
    ///
    /// # Errors
    /// If there are too many.
    pub fn batch(
        &self,
        issuer: &Account,
        prepared: &[PreparedCertificate],
    ) -> anyhow::Result<SignedTransaction> {
        let chain = prepared.first().context("an empty batch")?.keeper.name();
        let kind = batch_kind(issuer.address, prepared)?;
        self.sign(chain, kind, &[(issuer.address, &issuer.key)])
    }

    /// Submits and waits; a refusal in the receipt is one too.
    ///
    /// # Errors
    /// If it is refused or not decided.
    pub async fn decide(
        &self,
        chain: &str,
        transaction: SignedTransaction,
    ) -> anyhow::Result<Receipt> {
        let receipt = self.connection.submit_and_wait(chain, transaction).await?;
        let code = Code::try_from(receipt.code)?;
        if code != Code::Ok {
            let message = "refused in its block, by its receipt".to_owned();
            return Err(ConnectionError::Refused { code, message }.into());
        }
        Ok(receipt)
    }

    /// Asks the node to send certificates.
    ///
    /// # Errors
    /// If it is refused or not decided.
    pub async fn send(
        &self,
        chain: &str,
        transaction: SignedTransaction,
    ) -> anyhow::Result<SendCertificateResponse> {
        let sent = self.connection.send_certificate(chain, transaction).await;
        Ok(sent?)
    }

    /// A holder accepts.
    ///
    /// # Errors
    /// If it is refused.
    pub async fn accept(
        &self,
        chain: &str,
        certificate: CertificateId,
        holder: &Wallet,
    ) -> anyhow::Result<Receipt> {
        let kind = accept_certificate(certificate, holder.address());
        let signers = [(holder.address(), holder.signing_key())];
        let transaction = self.sign(chain, kind, &signers)?;
        self.decide(chain, transaction).await
    }

    /// A holder declines.
    ///
    /// # Errors
    /// If it is refused.
    pub async fn decline(
        &self,
        chain: &str,
        certificate: CertificateId,
        holder: &Wallet,
    ) -> anyhow::Result<Receipt> {
        let kind = decline_certificate(certificate, holder.address(), REASON);
        let signers = [(holder.address(), holder.signing_key())];
        let transaction = self.sign(chain, kind, &signers)?;
        self.decide(chain, transaction).await
    }

    /// An agency revokes.
    ///
    /// # Errors
    /// If it is refused.
    pub async fn revoke(
        &self,
        chain: &str,
        certificate: CertificateId,
        authority: &Account,
    ) -> anyhow::Result<Receipt> {
        let kind = revoke_certificate(certificate, authority.address, REASON);
        let signers = [(authority.address, &authority.key)];
        let transaction = self.sign(chain, kind, &signers)?;
        self.decide(chain, transaction).await
    }

    /// A holder shows fields of a certificate.
    ///
    /// # Errors
    /// If the fields do not fit.
    pub fn present(
        &self,
        certificate: &Issued,
        holder: &Wallet,
        names: &[&str],
        audience: Audience,
    ) -> anyhow::Result<PresentationPackage> {
        let showing = self.showing(certificate, names, audience)?;
        Ok(present(holder, &certificate.prepared.fields, &showing)?)
    }

    /// What is shown, for as long as the chain allows with room to spare.
    ///
    /// # Errors
    /// If there is no such chain.
    pub fn showing<'a>(
        &self,
        certificate: &Issued,
        names: &'a [&'a str],
        audience: Audience,
    ) -> anyhow::Result<Showing<'a>> {
        let life = match audience {
            Audience::Bearer => BEARER_LIFE_MS,
            Audience::Verifier(_) => NAMED_LIFE_MS,
        };
        Ok(Showing {
            chain: self.chain(certificate.chain())?,
            certificate: certificate.id(),
            names,
            audience,
            challenge: &[],
            expires: now().saturating_add(life),
        })
    }

    /// Verifies a package as a verifier does before it records a check: against the certificate's
    /// record and its holder's present key. Gives names and values that were shown.
    ///
    /// # Errors
    /// If something does not hold.
    pub async fn read(
        &self,
        chain: &str,
        verifier: &Wallet,
        package: &PresentationPackage,
    ) -> anyhow::Result<Vec<(String, String)>> {
        let shown = package.presentation();
        let known = self.type_of(chain)?;
        let record = self
            .connection
            .certificate(chain, &shown.certificate, false)
            .await?;
        let record = record.certificate.context("no certificate")?;
        let keys = self
            .connection
            .public_key(&shown.holder, None, false)
            .await?;
        let signing = std::iter::once(&keys.public_key).chain(&keys.devices);
        let holder_keys = signing
            .map(|key| PublicKey::from_bytes(key))
            .collect::<Result<Vec<_>, _>>()?;
        let root = FieldRoot::from_slice(&record.field_root);
        let fields = package.verify(&Expected {
            chain: known.chain,
            certificate: shown.certificate,
            certificate_type: &known.certificate_type,
            field_root: root.context("no root")?,
            holder: shown.holder,
            holder_keys: &holder_keys,
            verifier: verifier.address(),
            challenge: None,
            now: now(),
            clock_bound_ms: self.clock_bound_ms,
            window_ms: self.window_ms,
        })?;
        let texts = fields.iter().map(|f| field(f.name(), f.value()));
        Ok(texts.collect())
    }

    /// The transaction that records a check.
    ///
    /// # Errors
    /// Never: the verifier signs.
    pub fn checking(
        &self,
        chain: &str,
        verifier: &Wallet,
        shown: &SignedPresentation,
    ) -> anyhow::Result<SignedTransaction> {
        let kind = record_check(verifier.address(), shown, PURPOSE);
        self.sign(chain, kind, &[(verifier.address(), verifier.signing_key())])
    }

    /// Records a check and waits for its result.
    ///
    /// # Errors
    /// If it is refused.
    pub async fn check(
        &self,
        chain: &str,
        verifier: &Wallet,
        shown: &SignedPresentation,
    ) -> anyhow::Result<CheckResponse> {
        let question = CheckRequest {
            chain: chain.to_owned(),
            transaction: Some(self.checking(chain, verifier, shown)?),
            holder: Vec::new(),
            organisation_code: String::new(),
            with_proof: true,
        };
        Ok(self.connection.check(question).await?)
    }

    /// A signed query about a side chain, now.
    ///
    /// # Errors
    /// If there is no randomness.
    pub fn query(
        &self,
        chain: &str,
        wallet: &Wallet,
        topic: QueryTopic,
    ) -> anyhow::Result<QueryAuthorisation> {
        Ok(authorise(wallet, self.chain(chain)?, topic, now())?)
    }

    /// Waits until main has anchored a side chain at a height or above.
    ///
    /// # Errors
    /// If it has not within the deadline.
    pub async fn wait_anchor(
        &self,
        chain: &str,
        height: u64,
        deadline: Duration,
    ) -> anyhow::Result<u64> {
        let what = format!("an anchor of block {height} of {chain}");
        until(&what, deadline, || async {
            let anchor = self.connection.anchor(chain, false).await?;
            ensure!(!anchor.frozen, "the chain is frozen");
            ensure!(
                anchor.height >= height,
                "anchored {}, {} blocks behind",
                anchor.height,
                anchor.lag_blocks
            );
            Ok(anchor.height)
        })
        .await
    }
}
