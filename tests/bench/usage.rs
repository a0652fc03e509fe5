//! What the nodes use: disk, memory, processors, and the time of an audit.

use anyhow::{Context as _, ensure};
use certchain_tests::cluster::{Cluster, damage::bytes_in};
use serde_json::Value;

use crate::figures::Figures;

/// Bytes of the first node's store: tables and logs, not what RocksDB writes about itself.
pub fn store_bytes(cluster: &Cluster) -> anyhow::Result<f64> {
    let store = cluster.node(0)?.data_dir.join("store");
    let wanted = |name: &str| {
        [".sst", ".log", ".blob"]
            .iter()
            .any(|ending| name.ends_with(ending))
            || name.starts_with("MANIFEST")
    };
    Ok(bytes_in(&store, &wanted)? as f64)
}

fn mean(values: &[f64]) -> f64 {
    let count = values.len().max(1) as f64;
    values.iter().sum::<f64>() / count
}

/// Memory of the nodes, from the system.
pub fn memory(cluster: &Cluster, figures: &mut Figures) -> anyhow::Result<()> {
    let of = |name: &str| -> anyhow::Result<f64> {
        let each = cluster.nodes.iter().map(|node| node.memory_mib(name));
        Ok(mean(&each.collect::<anyhow::Result<Vec<f64>>>()?))
    };
    figures.set("rss_mib_per_node", of("VmRSS:")?);
    figures.set("rss_peak_mib_per_node", of("VmHWM:")?);
    Ok(())
}

/// Processor time of all nodes so far.
pub fn processor_seconds(cluster: &Cluster) -> anyhow::Result<f64> {
    let mut sum = 0.0;
    for node in &cluster.nodes {
        let pid = node.pid().context("it does not run")?;
        let text = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
        // After the name in brackets: user and system time are the 12th and 13th fields, counted
        // in hundredths of a second on every Linux.
        let fields = text
            .rsplit(')')
            .next()
            .unwrap_or_default()
            .split_whitespace();
        sum += fields
            .skip(11)
            .take(2)
            .filter_map(|field| field.parse::<f64>().ok())
            .sum::<f64>();
    }
    Ok(sum / 100.0)
}

/// Audits the first node's data from genesis.
pub async fn replay(cluster: &Cluster, figures: &mut Figures) -> anyhow::Result<()> {
    let node = cluster.node(0)?;
    let (report, code) = node.audit(&node.data_dir).await?;
    ensure!(code == Some(0), "the audit fails: {report}");
    let number = |name: &str| {
        let value = report.get(name).and_then(Value::as_f64);
        value.with_context(|| format!("the audit does not tell {name}"))
    };
    figures.set(
        "replay_tx_per_s",
        number("transactions")? / number("seconds")?,
    );
    Ok(())
}
