//! How far main has anchored a side chain.

use certchain_ledger::side_chains::{self, AnchorRecord, SideChainRecord};
use certchain_proto::{
    Height, TimeMs,
    wire::v1::{GetAnchorRequest, GetAnchorResponse},
};
use tonic::Status;

use super::{
    super::{Services, on_worker, status::unreadable},
    main_of,
};
use crate::chain::ChainHost;

pub(super) async fn get_anchor(
    services: &Services,
    request: GetAnchorRequest,
) -> Result<GetAnchorResponse, Status> {
    let host = services.side_chain(&request.chain)?;
    on_worker(host, move |host| last_anchor(host, request.with_proof)).await
}

fn last_anchor(host: &ChainHost, with_proof: bool) -> Result<GetAnchorResponse, Status> {
    let main = main_of(host)?;
    let missing = || unreadable("main's state lacks a side chain or its last anchor");
    // All is read as of one block of main, whatever is committed meanwhile.
    let at = main.chain.head().height();
    let key = side_chains::side_chain(&host.id);
    let value = main.chain.get_at(&key, at).map_err(unreadable)?;
    let record = SideChainRecord::decode(&value.ok_or_else(missing)?).map_err(unreadable)?;
    let mut proven_key = key;
    let mut answer = GetAnchorResponse {
        chain_id: host.id.as_bytes().to_vec(),
        height: 0,
        block_id: record.genesis.as_bytes().to_vec(),
        time_ms: record.creation.time.get(),
        epoch: record.creation.epoch.get(),
        main_height: record.creation.height.get(),
        main_time_ms: record.creation.time.get(),
        frozen: record.frozen.is_some(),
        ..Default::default()
    };
    if record.last_anchor > Height::ZERO {
        proven_key = side_chains::anchor(&host.id, record.last_anchor);
        let value = main.chain.get_at(&proven_key, at).map_err(unreadable)?;
        let anchor = AnchorRecord::decode(&value.ok_or_else(missing)?).map_err(unreadable)?;
        let block = main.chain.sealed_header(anchor.main_height);
        let block = block.map_err(unreadable)?.ok_or_else(missing)?;
        answer.height = anchor.height.get();
        answer.block_id = anchor.block.as_bytes().to_vec();
        answer.time_ms = anchor.time.get();
        answer.epoch = anchor.epoch.get();
        answer.main_height = anchor.main_height.get();
        answer.main_time_ms = block.header.time_ms.get();
    }
    let head = host.chain.head();
    answer.lag_blocks = head.height().get().saturating_sub(answer.height);
    answer.lag_ms = head.time().since(TimeMs::new(answer.time_ms));
    if with_proof {
        let proven = main
            .chain
            .prove(&proven_key, Some(at))
            .map_err(unreadable)?;
        answer.evidence = Some((&proven).into());
    }
    Ok(answer)
}
