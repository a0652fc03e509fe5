//! What is kept of others stays in its bounds, whatever they send.

use certchain_consensus::{Load, Params, TimerId, TimerKind, limits};

use super::Violation;

/// The newest ones, and those that bind: accepted, decided, prepared, committed to.
const MOST_CANDIDATES: usize = limits::MAX_CANDIDATES + 4;

/// Checks an engine's load after a step.
///
/// # Errors
/// If a number is above its bound.
pub fn check(node: usize, load: &Load) -> Result<(), Violation> {
    let numbers = [
        (
            "views of votes",
            load.vote_views,
            limits::VOTE_VIEWS_PER_SENDER,
        ),
        (
            "view changes",
            load.view_changes,
            limits::VIEW_CHANGES_PER_SENDER,
        ),
        ("openings", load.openings, 2),
        ("candidates", load.candidates, MOST_CANDIDATES),
        (
            "early messages",
            load.ahead_messages,
            limits::AHEAD_MESSAGES_PER_SENDER,
        ),
        (
            "early bytes",
            load.ahead_bytes,
            limits::AHEAD_BYTES_PER_SENDER,
        ),
        ("late statements", load.late, limits::MAX_LATE_STATEMENTS),
        ("evidence", load.evidence, limits::EVIDENCE_PER_SENDER),
    ];
    match numbers.into_iter().find(|(_, held, most)| held > most) {
        None => Ok(()),
        Some((what, held, most)) => Err(Violation(format!(
            "node {node} keeps {held} {what}, at most {most} are allowed"
        ))),
    }
}

/// Checks how long a timer runs.
///
/// # Errors
/// If it is longer than the caps allow: no pause grows for ever.
pub fn waits(params: &Params, node: usize, id: TimerId, ms: u64) -> Result<(), Violation> {
    let most = match id.kind {
        TimerKind::View => params.timeout_cap_ms,
        TimerKind::Retry => params.retry_cap_ms,
        TimerKind::Heartbeat | TimerKind::Early => return Ok(()),
    };
    if ms <= most {
        return Ok(());
    }
    Err(Violation(format!(
        "node {node} waits {ms} ms for {id:?}, at most {most} are allowed"
    )))
}
