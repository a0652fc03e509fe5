//! Logs, without personal data or keys: only names of nodes and chains, heights, views, hashes
//! and counts are logged anywhere in the project.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// How lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON document per line, for log collectors.
    Json,
}

/// Starts logging to standard error. `filter` is a `tracing` filter such as `info,certchain=debug`;
/// the environment variable `RUST_LOG` takes its place if set.
///
/// # Errors
/// If the filter cannot be parsed, or logging runs already.
pub fn start(filter: &str, format: LogFormat) -> anyhow::Result<()> {
    let filter = match std::env::var("RUST_LOG") {
        Ok(text) if !text.is_empty() => EnvFilter::try_new(text)?,
        _ => EnvFilter::try_new(filter)?,
    };
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    let started = match format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
    started.map_err(|error| anyhow::anyhow!("logging cannot start: {error}"))
}
