//! One certificate's story, out of a data directory whose audit has passed.

use std::{path::Path, sync::Arc};

use anyhow::{Context as _, bail};
use certchain_config::{catalogue::SideChain, node::MAIN};
use certchain_ledger::{
    chain::{Chain, ChainOptions, ChainRules},
    side_chains::{self, SideChainRecord},
    store::{Store, StoreOptions},
};
use certchain_proto::{
    Address, Height, TimeMs,
    hash::{CertificateId, PresentationId},
    transaction::Transaction,
    wire::v1::{CertificateDraft, Code, transaction_body::Kind},
};
use certchain_sidechain::{
    anchor::MainApplication,
    certificate::{CertificateApplication, CertificateRecord, CheckRecord, keys},
    network::NetworkGenesis,
    presentation::Presentation,
};
use serde_json::{Value, json};

/// What happened to a certificate in one block.
struct Event {
    height: Height,
    time: TimeMs,
    what: String,
    by: Option<Address>,
    transaction: String,
}

/// Tells the story of a certificate: its record, everything that happened to it, and the anchor that
/// covers the last of it.
///
/// # Errors
/// If no chain of the store holds the certificate, or the store cannot be read.
pub fn tell(path: &Path, genesis: &NetworkGenesis, id: &CertificateId) -> anyhow::Result<Value> {
    let store = Store::open_read_only(path, &StoreOptions::default())?;
    let options = ChainOptions::default();
    let rules = ChainRules::main(MainApplication);
    let main = Chain::open(Arc::clone(&store), MAIN, &genesis.main, rules, options)?;
    let main = Arc::new(main);
    let stored = store.chains()?;
    for (side, block) in &genesis.sides {
        if !stored.iter().any(|chain| chain.name == side.name()) {
            continue;
        }
        let rules = ChainRules::side(CertificateApplication::new(*side), Arc::clone(&main));
        let chain = Chain::open(Arc::clone(&store), side.name(), block, rules, options)?;
        if let Some(value) = chain.get(&keys::certificate(id))? {
            let record = CertificateRecord::decode(&value)?;
            return story(&main, &chain, *side, id, &record);
        }
    }
    bail!("no side chain of this data directory holds certificate {id}; check the id")
}

fn story(
    main: &Chain,
    chain: &Chain,
    side: SideChain,
    id: &CertificateId,
    record: &CertificateRecord,
) -> anyhow::Result<Value> {
    let mut events = Vec::new();
    let mut height = record.issued_height;
    while height <= chain.head().height() {
        let block = chain
            .block(height)?
            .with_context(|| format!("block {height} is missing"))?;
        let receipts = chain
            .receipts(height)?
            .with_context(|| format!("the receipts of block {height} are missing"))?;
        for (encoded, receipt) in block.transactions.iter().zip(&receipts) {
            let transaction = Transaction::decode(encoded)?;
            let is_issue = matches!(
                transaction.kind(),
                Kind::IssueCertificate(_) | Kind::IssueBatch(_)
            );
            // A later batch may hold the same draft again, in a line that was refused.
            if receipt.code() != Code::Ok || (is_issue && transaction.id() != record.transaction) {
                continue;
            }
            if let Some((what, by)) = concerns(chain, &transaction, id)? {
                events.push(Event {
                    height,
                    time: block.header.time_ms,
                    what,
                    by,
                    transaction: transaction.id().to_string(),
                });
            }
        }
        height = height.next();
    }
    let anchored = match main.get(&side_chains::side_chain(&chain.id()))? {
        Some(value) => SideChainRecord::decode(&value)?.last_anchor,
        None => Height::ZERO,
    };
    let last = events.last().map_or(record.issued_height, |e| e.height);
    let events: Vec<Value> = events
        .iter()
        .map(|event| {
            json!({
                "height": event.height.get(),
                "time_ms": event.time.get(),
                "event": event.what,
                "by": event.by.map(|by| by.to_string()),
                "transaction": event.transaction,
            })
        })
        .collect();
    let holders: Vec<String> = record
        .holders
        .iter()
        .map(|holder| holder.address.to_string())
        .collect();
    Ok(json!({
        "certificate": id.to_string(),
        "chain": side.name(),
        "type": record.type_name,
        "issuer": record.issuer.to_string(),
        "serial": record.serial,
        "holders": holders,
        "status": format!("{:?}", record.status).to_lowercase(),
        "valid_until_ms": record.valid_until.map(TimeMs::get),
        "events": events,
        "anchored_height": anchored.get(),
        "all_anchored": anchored >= last,
    }))
}

/// What a transaction that took effect did to the certificate, and who did it.
fn concerns(
    chain: &Chain,
    transaction: &Transaction,
    id: &CertificateId,
) -> anyhow::Result<Option<(String, Option<Address>)>> {
    let is = |bytes: &[u8]| bytes == id.as_bytes();
    let drafted = |issuer: &[u8], draft: &CertificateDraft| {
        let (Some(issuer), Some(root)) = (
            Address::from_slice(issuer),
            certchain_proto::hash::FieldRoot::from_slice(&draft.field_root),
        ) else {
            return false;
        };
        let Ok(nonce) = <[u8; 16]>::try_from(draft.nonce.as_slice()) else {
            return false;
        };
        CertificateId::of(&chain.id(), &issuer, &draft.r#type, &root, &nonce) == *id
    };
    let told = match transaction.kind() {
        Kind::IssueCertificate(m) => m
            .certificate
            .as_ref()
            .filter(|draft| drafted(&m.issuer, draft))
            .map(|_| ("issued".to_owned(), Address::from_slice(&m.issuer))),
        Kind::IssueBatch(m) => m
            .certificates
            .iter()
            .position(|draft| drafted(&m.issuer, draft))
            .map(|line| {
                let what = format!("issued as line {line} of a batch");
                (what, Address::from_slice(&m.issuer))
            }),
        Kind::AcceptCertificate(m) if is(&m.certificate) => {
            Some(("accepted".to_owned(), Address::from_slice(&m.holder)))
        }
        Kind::DeclineCertificate(m) if is(&m.certificate) => Some((
            format!("declined, reason {}", m.reason),
            Address::from_slice(&m.holder),
        )),
        Kind::RevokeCertificate(m) if is(&m.certificate) => Some((
            format!("revoked, reason {}", m.reason),
            Address::from_slice(&m.authority),
        )),
        Kind::RecordCheck(m) => {
            let presented = Presentation::decode(&m.presentation)?;
            if presented.certificate == *id {
                let value = chain.get(&keys::check(&PresentationId::of(&m.presentation)))?;
                let value = value.context("the record of a check is missing")?;
                let check = CheckRecord::decode(&value)?;
                let result = check.result.to_wire().as_str_name().to_lowercase();
                let result = result.trim_start_matches("check_result_").replace('_', " ");
                Some((format!("checked: {result}"), Some(check.verifier)))
            } else {
                None
            }
        }
        _ => None,
    };
    Ok(told)
}
