//! Waiting for conditions, with a deadline and the last reason why not yet.

use std::time::{Duration, Instant};

use anyhow::bail;

/// How often a condition is looked at.
const POLL: Duration = Duration::from_millis(40);

/// Long enough for anything that a healthy cluster does on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(45);

/// Asks until the answer is there. `probe` says why it is not there yet.
///
/// # Errors
/// If it is not there at the deadline; names the last reason.
pub async fn until<T, F>(
    what: &str,
    deadline: Duration,
    mut probe: impl FnMut() -> F,
) -> anyhow::Result<T>
where
    F: Future<Output = anyhow::Result<T>>,
{
    let started = Instant::now();
    loop {
        let reason = match probe().await {
            Ok(answer) => return Ok(answer),
            Err(reason) => reason,
        };
        if started.elapsed() > deadline {
            bail!("{what}: not within {deadline:?}; last: {reason:#}");
        }
        tokio::time::sleep(POLL).await;
    }
}
