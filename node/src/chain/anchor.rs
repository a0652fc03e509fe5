//! Anchors a side chain's blocks in main, from time to time and after so many blocks.
//!
//! Every validator watches; they take turns, so that one of them submits and the others step in,
//! one after the other, if it does not. Main takes each anchor once, so two at a time cost a
//! refused transaction and nothing else.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use certchain_ledger::{
    chain::ProveError,
    side_chains::{self, SideChainRecord},
    store::StoreError,
    versioned::RecordError,
};
use certchain_proto::{
    Height, SecretKey,
    transaction::{self, NONCE_BYTES},
    wire::v1::{Code, SignedTransaction, TransactionBody, transaction_body::Kind},
};
use certchain_sidechain::anchor::anchor_message;

use super::{
    engine_thread::now,
    host::{Busy, ChainHost},
    seats::Known,
};

/// How often a validator looks whether an anchor is due.
const LOOK: Duration = Duration::from_millis(250);

/// How long the next validator waits for the one before it.
const STEP: Duration = Duration::from_secs(2);

/// Why no anchor was submitted.
#[derive(Debug, thiserror::Error)]
enum AnchorError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("main's record of this side chain cannot be read: {0}")]
    Record(#[from] RecordError),
    #[error("main has no record of this side chain")]
    Unknown,
    #[error(transparent)]
    Prove(#[from] ProveError),
    #[error(transparent)]
    Busy(#[from] Busy),
    #[error("the system gives no random bytes")]
    NoRandomness,
}

/// Anchors as long as the node runs, and halts the chain here once main shows it frozen. Ends at once
/// on main; where this node does not validate it only watches.
pub async fn run(host: Arc<ChainHost>) {
    let Some(main) = host.main.clone() else {
        return;
    };
    let timers = host.chain.head().parameters.timers.clone();
    let interval = Duration::from_millis(timers.anchor_interval_ms);
    // Since when a block waits to be anchored, above which anchor.
    let mut waiting: Option<(Height, Instant)> = None;
    loop {
        tokio::time::sleep(LOOK.min(interval)).await;
        let record = match record(&host, &main) {
            Ok(record) => record,
            Err(error) => {
                tracing::error!(chain = %host.name, %error, "no anchor can be made");
                continue;
            }
        };
        if halted_by(&host, &record) {
            return;
        }
        let Known { newest, seat, .. } = host.seats.now();
        let Some(seat) = seat else {
            continue;
        };
        let members = newest.len().max(1) as u64;
        let (head, last) = (host.chain.head(), record.last_anchor);
        let tip = head.height();
        // The block that hands over is covered by its successor's anchor.
        if tip <= last || head.validators.epoch() != head.decided_by.epoch() {
            waiting = None;
            continue;
        }
        let since = match waiting {
            Some((above, since)) if above == last => since,
            _ => {
                let begun = Instant::now();
                waiting = Some((last, begun));
                begun
            }
        };
        // The turn passes on with every anchor, and after a while to the next in order.
        let rank = (u64::from(seat.place.get()) + members - last.get() % members) % members;
        let patience = STEP.saturating_mul(u32::try_from(rank).unwrap_or(u32::MAX));
        let many = tip.get() - last.get() >= timers.anchor_blocks;
        let due = if many { patience } else { interval + patience };
        if since.elapsed() < due {
            continue;
        }
        match submit(&host, &main, &seat.vote_key, last).await {
            Ok(()) => {
                waiting = Some((last, Instant::now()));
            }
            Err(error) => {
                tracing::warn!(chain = %host.name, %error, "no anchor was submitted");
            }
        }
    }
}

/// Halts the chain if main has frozen it already, so that its engine signs nothing when the node comes
/// back.
pub fn halt_if_frozen(host: &ChainHost) {
    let Some(main) = &host.main else {
        return;
    };
    match record(host, main) {
        Ok(record) => {
            halted_by(host, &record);
        }
        Err(error) => {
            tracing::error!(chain = %host.name, %error, "whether the chain is frozen is unknown");
        }
    }
}

/// Whether main has frozen the chain, which is halted then.
fn halted_by(host: &ChainHost, record: &SideChainRecord) -> bool {
    let Some(frozen) = &record.frozen else {
        return false;
    };
    host.halt(format!(
        "main froze this chain in its block {}: at height {} both {} and {} are sealed; governance \
         must name the block that lives",
        frozen.main_height, frozen.height, frozen.first, frozen.second
    ));
    true
}

/// What main's newest state says of this side chain.
fn record(host: &ChainHost, main: &ChainHost) -> Result<SideChainRecord, AnchorError> {
    let value = main.chain.get(&side_chains::side_chain(&host.id))?;
    Ok(SideChainRecord::decode(
        &value.ok_or(AnchorError::Unknown)?,
    )?)
}

/// Submits the last block as an anchor above the last one.
async fn submit(
    host: &ChainHost,
    main: &ChainHost,
    key: &SecretKey,
    last: Height,
) -> Result<(), AnchorError> {
    let evidence = host.chain.history_proof(last, None)?;
    let message = anchor_message(&host.id, &evidence.later, &evidence.proof);
    let mut nonce = [0; NONCE_BYTES];
    getrandom::fill(&mut nonce).map_err(|_| AnchorError::NoRandomness)?;
    let head = main.chain.head();
    let window = head.parameters.limits.transaction_window_ms;
    let body = TransactionBody {
        chain_id: main.id.as_bytes().to_vec(),
        nonce: nonce.to_vec(),
        valid_until_ms: now().max(head.time()).saturating_add(window / 2).get(),
        kind: Some(Kind::SubmitAnchor(message)),
    };
    let signed: SignedTransaction = transaction::sign(&body, &[key]);
    for admission in main.submit(vec![signed], None).await? {
        match admission.result {
            Ok(()) => tracing::debug!(
                chain = %host.name, height = evidence.later.height().get(), "anchor submitted"
            ),
            // Another validator was first.
            Err(refusal) if refusal.code() == Code::OldAnchor => {}
            Err(refusal) => tracing::warn!(chain = %host.name, %refusal, "an anchor is refused"),
        }
    }
    Ok(())
}
