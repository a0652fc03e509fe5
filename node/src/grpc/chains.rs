//! Chains: their state, blocks and proofs.

use std::{pin::Pin, sync::Arc};

use certchain_ledger::{
    chain::ProveError,
    evidence::SealedHeader,
    receipt::LocatedReceipt,
    state::{StateError, StateKey},
};
use certchain_proto::{
    Epoch, Height,
    hash::BlockId,
    wire::v1::{
        self, GetBlockRequest, GetBlockResponse, GetHistoryProofRequest, GetHistoryProofResponse,
        GetNodeRequest, GetNodeResponse, GetStateProofRequest, GetStateProofResponse,
        GetStatusRequest, GetStatusResponse, ListValidatorSetsRequest, ListValidatorSetsResponse,
        SignedTransaction, StreamBlocksRequest, StreamBlocksResponse,
        chain_service_server::ChainService, get_block_request,
    },
};
use futures::Stream;
use prost::Message as _;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::{
    Services, known_height, on_worker,
    status::{invalid, unreadable},
};
use crate::chain::ChainHost;

/// Blocks of a stream that wait for a slow client.
const STREAM_AHEAD: usize = 4;

/// Changes of the validators in an answer, if the request does not say.
const USUAL_CHANGES: usize = 16;
/// Most changes of the validators in an answer.
const MAX_CHANGES: usize = 64;

type BlockStream = Pin<Box<dyn Stream<Item = Result<StreamBlocksResponse, Status>> + Send>>;

#[tonic::async_trait]
impl ChainService for Services {
    type StreamBlocksStream = BlockStream;

    async fn get_node(
        &self,
        _request: Request<GetNodeRequest>,
    ) -> Result<Response<GetNodeResponse>, Status> {
        Ok(Response::new(GetNodeResponse {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            name: self.node.clone(),
            peer_id: self.peer_id.clone(),
            network: self.network.clone(),
            chains: self.chains.keys().cloned().collect(),
        }))
    }

    async fn get_status(
        &self,
        request: Request<GetStatusRequest>,
    ) -> Result<Response<GetStatusResponse>, Status> {
        let host = self.chain(&request.into_inner().chain)?;
        let head = host.chain.head();
        let status = host.status();
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Ok(Response::new(GetStatusResponse {
            chain: host.name.clone(),
            chain_id: host.id.as_bytes().to_vec(),
            height: head.header.height.get(),
            block_id: head.id.as_bytes().to_vec(),
            state_root: head.outcome.state_root.as_bytes().to_vec(),
            time_ms: head.header.time_ms.get(),
            view: status.view,
            epoch: head.validators.epoch().get(),
            validators: count(head.validators.len()),
            quorum: count(head.validators.quorum()),
            peers: count(status.peers),
            mempool: count(status.mempool),
            transaction_window_ms: head.parameters.limits.transaction_window_ms,
            voting: status.voting,
            ready: status.ready,
            halted: status.halted.unwrap_or_default(),
        }))
    }

    async fn get_block(
        &self,
        request: Request<GetBlockRequest>,
    ) -> Result<Response<GetBlockResponse>, Status> {
        let request = request.into_inner();
        let host = self.chain(&request.chain)?;
        let block = on_worker(host, move |host| {
            let height = match request.block {
                None => host.chain.head().header.height,
                Some(get_block_request::Block::Height(height)) => known_height(host, Some(height))?,
                Some(get_block_request::Block::BlockId(id)) => by_id(host, &id)?,
            };
            block(host, height, request.header_only)
        })
        .await?;
        Ok(Response::new(GetBlockResponse { block: Some(block) }))
    }

    async fn stream_blocks(
        &self,
        request: Request<StreamBlocksRequest>,
    ) -> Result<Response<BlockStream>, Status> {
        let request = request.into_inner();
        let host = Arc::clone(self.chain(&request.chain)?);
        let head = host.chain.head().header.height;
        let first = request.from_height.map_or(head.next(), Height::new);
        let (sender, receiver) = tokio::sync::mpsc::channel(STREAM_AHEAD);
        tokio::spawn(async move {
            let mut heights = host.heights();
            let mut next = first;
            loop {
                let reached = tokio::select! {
                    reached = heights.wait_for(|h| *h >= next) => reached.is_ok(),
                    () = sender.closed() => return,
                };
                if !reached {
                    let status = Status::unavailable("the node is stopping; go on with another");
                    let _ = sender.send(Err(status)).await;
                    return;
                }
                let header_only = request.header_only;
                let answer = on_worker(&host, move |host| block(host, next, header_only)).await;
                let failed = answer.is_err();
                let answer = answer.map(|block| StreamBlocksResponse { block: Some(block) });
                if sender.send(answer).await.is_err() || failed {
                    return;
                }
                next = next.next();
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }

    async fn get_state_proof(
        &self,
        request: Request<GetStateProofRequest>,
    ) -> Result<Response<GetStateProofResponse>, Status> {
        let request = request.into_inner();
        let host = self.chain(&request.chain)?;
        let key = StateKey::new(&request.key)
            .map_err(|error| invalid("key", &format!("is no key of the state: {error}")))?;
        let answer = on_worker(host, move |host| {
            if request.at_height.is_some() {
                known_height(host, request.at_height)?;
            }
            let evidence = host
                .chain
                .prove(&key, request.at_height.map(Height::new))
                .map_err(not_proven)?;
            Ok(GetStateProofResponse {
                present: evidence.value.is_some(),
                value: evidence.value.clone().unwrap_or_default(),
                proof: Some((&evidence.proof).into()),
                block: Some((&evidence.block).into()),
            })
        })
        .await?;
        Ok(Response::new(answer))
    }

    async fn get_history_proof(
        &self,
        request: Request<GetHistoryProofRequest>,
    ) -> Result<Response<GetHistoryProofResponse>, Status> {
        let request = request.into_inner();
        let host = self.chain(&request.chain)?;
        let answer = on_worker(host, move |host| {
            let later = known_height(host, request.at_height)?;
            let height = Height::new(request.height);
            if height >= later {
                return Err(invalid("height", "must lie below at_height"));
            }
            let evidence = host
                .chain
                .history_proof(height, Some(later))
                .map_err(unreadable)?;
            Ok((&evidence).into())
        })
        .await?;
        Ok(Response::new(answer))
    }

    async fn list_validator_sets(
        &self,
        request: Request<ListValidatorSetsRequest>,
    ) -> Result<Response<ListValidatorSetsResponse>, Status> {
        let request = request.into_inner();
        let host = self.chain(&request.chain)?;
        let most = match usize::try_from(request.limit) {
            Ok(0) => USUAL_CHANGES,
            Ok(most) if most <= MAX_CHANGES => most,
            _ => return Err(invalid("limit", "must be at most 64")),
        };
        let after = Epoch::new(request.after_epoch);
        let changes = on_worker(host, move |host| {
            host.chain.set_changes(after, most).map_err(unreadable)
        })
        .await?;
        let changes = changes.iter().map(Into::into).collect();
        Ok(Response::new(ListValidatorSetsResponse { changes }))
    }
}

fn not_proven(error: ProveError) -> Status {
    let outside = match &error {
        ProveError::State(error) => matches!(**error, StateError::OutsideWindow { .. }),
        ProveError::Height { .. } => true,
        _ => false,
    };
    if outside {
        Status::out_of_range(error.to_string())
    } else {
        unreadable(error)
    }
}

#[allow(clippy::result_large_err)]
fn by_id(host: &ChainHost, id: &[u8]) -> Result<Height, Status> {
    let id = BlockId::from_slice(id).ok_or_else(|| invalid("block_id", "must have 32 bytes"))?;
    host.chain
        .height_of(&id)
        .map_err(unreadable)?
        .ok_or_else(|| Status::not_found("no decided block has this name"))
}

/// A decided block as clients see it.
#[allow(clippy::result_large_err)]
fn block(host: &ChainHost, height: Height, header_only: bool) -> Result<v1::Block, Status> {
    let missing = || unreadable(format!("block {height} is missing"));
    if header_only || height == Height::ZERO {
        let header = host
            .chain
            .sealed_header(height)
            .map_err(unreadable)?
            .ok_or_else(missing)?;
        return Ok(v1::Block {
            header: Some((&header).into()),
            ..Default::default()
        });
    }
    let sealed = host
        .chain
        .block(height)
        .map_err(unreadable)?
        .ok_or_else(missing)?;
    let receipts = host
        .chain
        .receipts(height)
        .map_err(unreadable)?
        .ok_or_else(missing)?;
    let transactions = sealed
        .transactions
        .iter()
        .map(|bytes| SignedTransaction::decode(bytes.as_slice()).map_err(unreadable))
        .collect::<Result<_, _>>()?;
    let block = sealed.id();
    let receipts = receipts
        .into_iter()
        .zip(0u32..)
        .map(|(receipt, index)| {
            v1::Receipt::from(&LocatedReceipt {
                height,
                index,
                block,
                receipt,
            })
        })
        .collect();
    let header = SealedHeader::from(&sealed);
    Ok(v1::Block {
        header: Some((&header).into()),
        transactions,
        receipts,
    })
}
