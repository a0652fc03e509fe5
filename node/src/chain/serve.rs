//! Answers to the questions of peers. Reading is done by workers; what a peer may ask for at once
//! is bounded by the network layer and by the sizes in [`super::exchange`].

use std::sync::{Arc, PoisonError};

use certchain_net::Request as Asked;
use certchain_proto::{Height, codec::encode, hash::WitnessId};

use super::{
    bodies,
    exchange::{Request, SEALED_ANSWER_BYTES, SEALED_ANSWER_COUNT, Sealed, Transactions},
    host::ChainHost,
};

/// Answers one question; silence tells the peer that there is no answer.
pub fn answer(host: &Arc<ChainHost>, asked: Asked) {
    let worker = Arc::clone(host);
    let queued = host.pool.run(move || {
        if asked.responder.is_abandoned() {
            return;
        }
        let request = match Request::decode(&asked.data) {
            Ok(request) => request,
            Err(error) => {
                tracing::debug!(chain = %worker.name, from = %asked.from, %error, "bad request");
                return asked.responder.decline();
            }
        };
        match look_up(&worker, &request) {
            Some(bytes) => asked.responder.respond(bytes),
            None => asked.responder.decline(),
        }
    });
    if let Err(error) = queued {
        tracing::debug!(chain = %host.name, %error, "a peer's question was shed");
    }
}

fn look_up(host: &ChainHost, request: &Request) -> Option<Vec<u8>> {
    match request {
        Request::Transactions(ids) => Some(transactions(host, ids)),
        Request::Body { height, header } => {
            let body = host.chain.load_body(*height, header).ok()??;
            Some(bodies::encoded(body))
        }
        Request::Sealed { from } => Some(sealed(host, *from)),
    }
}

fn transactions(host: &ChainHost, ids: &[WitnessId]) -> Vec<u8> {
    let mut answer = Transactions::default();
    let mut bytes = 0;
    let mempool = host.mempool.lock().unwrap_or_else(PoisonError::into_inner);
    for transaction in ids.iter().filter_map(|id| mempool.get(id)) {
        bytes += transaction.encoded().len();
        if bytes > SEALED_ANSWER_BYTES {
            break;
        }
        answer.transactions.push(transaction.encoded().to_vec());
    }
    drop(mempool);
    encode(&answer)
}

fn sealed(host: &ChainHost, from: Height) -> Vec<u8> {
    let mut answer = Sealed::default();
    let mut bytes = 0;
    let mut height = from.max(Height::new(1));
    while answer.blocks.len() < SEALED_ANSWER_COUNT && bytes < SEALED_ANSWER_BYTES {
        let block = match host.chain.block(height) {
            Ok(Some(block)) => block,
            Ok(None) => break,
            Err(error) => {
                tracing::error!(chain = %host.name, %height, %error, "a block cannot be read");
                break;
            }
        };
        bytes += block
            .transactions
            .iter()
            .map(|t| t.len() + 8)
            .sum::<usize>()
            + 1_024;
        answer.blocks.push(block);
        height = height.next();
    }
    encode(&answer)
}
