//! Reading blocks and verifying their transactions' signatures, on threads of their own.

use std::sync::mpsc::{Receiver, sync_channel};

use certchain_proto::{CommitCertificate, Height, codec, transaction::Transaction};

use super::Failure;
use crate::{
    chain::{body_key, header, number_key},
    evidence::SealedHeader,
    signatures::{TransactionVerifier, VerifiedTransaction},
    store::{BODIES, Body, MAX_BODY_BYTES, RECEIPTS, Store},
};

/// Heights that one thread takes at a time: enough signatures for batches, few enough bytes.
const CHUNK: u64 = 8;

/// A block as stored, its transactions verified.
pub(super) struct Loaded {
    pub(super) sealed: SealedHeader,
    pub(super) parent_certificate: CommitCertificate,
    pub(super) transactions: Vec<VerifiedTransaction>,
    /// As stored, one after the other.
    pub(super) receipts: Vec<u8>,
}

type Chunk = Vec<Result<Loaded, String>>;

/// Shows the blocks 1 to `head` in order.
pub(super) fn each_block(
    store: &Store,
    number: u16,
    head: Height,
    threads: usize,
    visit: &mut dyn FnMut(Result<Loaded, String>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let threads = threads.max(1) as u64;
    let chunks = head.get().div_ceil(CHUNK);
    let verifier = TransactionVerifier::default();
    std::thread::scope(|scope| {
        let mut lines: Vec<Receiver<Chunk>> = Vec::new();
        for first in 0..threads {
            let (send, receive) = sync_channel(1);
            lines.push(receive);
            let verifier = &verifier;
            scope.spawn(move || {
                let mut chunk = first;
                while chunk < chunks {
                    let start = chunk * CHUNK + 1;
                    let end = (start + CHUNK - 1).min(head.get());
                    // The other side hangs up at the first failure.
                    if send
                        .send(load_chunk(store, number, start, end, verifier))
                        .is_err()
                    {
                        return;
                    }
                    chunk += threads;
                }
            });
        }
        for chunk in 0..chunks {
            let line = lines.get((chunk % threads) as usize);
            let Some(blocks) = line.and_then(|line| line.recv().ok()) else {
                return Err(Failure {
                    height: None,
                    reason: "a thread of the audit ended".into(),
                });
            };
            for block in blocks {
                visit(block)?;
            }
        }
        Ok(())
    })
}

fn load_chunk(
    store: &Store,
    number: u16,
    start: u64,
    end: u64,
    verifier: &TransactionVerifier,
) -> Chunk {
    let mut parts = Vec::new();
    let mut transactions: Vec<Transaction> = Vec::new();
    for height in start..=end {
        let part = read_block(store, number, Height::new(height));
        let part = part.map(|(sealed, body, receipts, mut decoded)| {
            let count = decoded.len();
            transactions.append(&mut decoded);
            (sealed, body.parent_certificate, receipts, count)
        });
        let failed = part.is_err();
        parts.push(part);
        if failed {
            break;
        }
    }
    // One batch over all blocks of the chunk.
    let mut verified = verifier.verify(transactions).into_iter();
    parts
        .into_iter()
        .map(|part| {
            let (sealed, parent_certificate, receipts, count) = part?;
            let mut transactions = Vec::with_capacity(count);
            for (index, answer) in verified.by_ref().take(count).enumerate() {
                match answer {
                    Ok(transaction) => transactions.push(transaction),
                    Err(rejected) => {
                        return Err(format!("transaction {index}: {}", rejected.refusal));
                    }
                }
            }
            Ok(Loaded {
                sealed,
                parent_certificate,
                transactions,
                receipts,
            })
        })
        .collect()
}

type Parts = (SealedHeader, Body, Vec<u8>, Vec<Transaction>);

fn read_block(store: &Store, number: u16, height: Height) -> Result<Parts, String> {
    let sealed = header(store, number, height).map_err(|error| error.to_string())?;
    let sealed = sealed.ok_or("the header is missing")?;
    let body = store
        .get(BODIES, body_key(number, height, &sealed.header.digest()))
        .map_err(|error| error.to_string())?
        .ok_or("the body is missing, or the header was changed")?;
    let mut body: Body = codec::decode(&body, MAX_BODY_BYTES).map_err(|error| error.to_string())?;
    if body.header != sealed.header {
        return Err("header and body do not belong together".to_owned());
    }
    let receipts = store
        .get(RECEIPTS, number_key(number, &[&height.to_be_bytes()]))
        .map_err(|error| error.to_string())?
        .ok_or("the receipts are missing")?
        .to_vec();
    let transactions = std::mem::take(&mut body.transactions)
        .iter()
        .enumerate()
        .map(|(index, bytes)| {
            Transaction::decode(bytes).map_err(|error| format!("transaction {index}: {error}"))
        })
        .collect::<Result<_, _>>()?;
    Ok((sealed, body, receipts, transactions))
}
