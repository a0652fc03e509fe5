//! The auditor: passes the data of every node, running or stopped, and fails what was tampered
//! with.

use std::path::Path;

use anyhow::{Context as _, ensure};
use certchain_tests::cluster::{
    Cluster, ClusterOptions, Node,
    damage::{copy_folder, files, flip_bit},
    load::Load,
    wait::PATIENCE,
};
use rocksdb::{DB, Options};
use serde_json::Value;

#[tokio::test]
async fn every_nodes_data_passes_while_it_runs_and_afterwards() -> anyhow::Result<()> {
    let cluster = Cluster::start(ClusterOptions::default()).await?;
    let load = Load::start(&cluster, 1)?;
    load.wait_more(200).await?;
    for node in &cluster.nodes {
        let height = node.status().await?.height;
        let (report, code) = node.audit(&node.data_dir).await?;
        ensure!(code == Some(0), "{}: {code:?} {report}", node.name);
        ensure!(report.get("ok") == Some(&Value::Bool(true)), "{report}");
        let reached = report
            .get("height")
            .and_then(Value::as_u64)
            .context("no height")?;
        ensure!(
            reached >= height,
            "{}: audited {reached} of {height}",
            node.name
        );
    }
    load.finish().await?.settle(&cluster, &[]).await?;
    cluster.finish().await?;
    Ok(())
}

/// Fills one node with blocks and stops it: part of them in table files, part in the log.
async fn filled(cluster: &mut Cluster) -> anyhow::Result<()> {
    for first in [1, 10_000] {
        cluster.start_all().await?;
        let load = Load::start(cluster, first)?;
        load.wait_more(600).await?;
        load.finish().await?.settle(cluster, &[]).await?;
        cluster.node_mut(0)?.kill()?;
    }
    Ok(())
}

async fn fails(node: &Node, data: &Path, what: &str) -> anyhow::Result<Option<u64>> {
    let (report, code) = node.audit(data).await?;
    ensure!(code != Some(0), "{what}: the audit passes: {report}");
    ensure!(
        report.get("ok") == Some(&Value::Bool(false)),
        "{what}: {report}"
    );
    let failure = report.get("failure").context("no failure is named")?;
    let reason = failure
        .get("reason")
        .and_then(Value::as_str)
        .unwrap_or_default();
    ensure!(
        !reason.is_empty(),
        "{what}: the reason is missing: {report}"
    );
    println!("{what}: height {:?}: {reason}", failure.get("height"));
    Ok(failure.get("height").and_then(Value::as_u64))
}

/// Makes a closed store forget a chain.
fn drop_chain(store: &Path, name: &str) -> anyhow::Result<()> {
    let options = Options::default();
    let db = DB::open_cf(&options, store, DB::list_cf(&options, store)?)?;
    let meta = db.cf_handle("meta").context("no column `meta`")?;
    let key = format!("chain/{name}");
    ensure!(db.get_cf(meta, &key)?.is_some(), "{key} is not there");
    db.delete_cf(meta, &key)?;
    Ok(())
}

#[tokio::test]
async fn one_flipped_bit_is_found_wherever_it_is() -> anyhow::Result<()> {
    let mut cluster = Cluster::create(ClusterOptions::of(1)).await?;
    filled(&mut cluster).await?;
    let node = cluster.node(0)?;
    let (_, code) = node.audit(&node.data_dir).await?;
    ensure!(code == Some(0), "the untouched data does not pass");

    let store = node.data_dir.join("store");
    let mut targets = files(&store, ".sst")?;
    ensure!(!targets.is_empty(), "no table file to damage");
    let logs = files(&store, ".log")?;
    ensure!(!logs.is_empty(), "no log file to damage");
    targets.extend(logs);
    let copy = cluster.folder().join("tampered");
    let (mut tried, mut located) = (0u64, 0u64);
    for target in &targets {
        let name = target.file_name().context("a file without name")?;
        let length = target.metadata()?.len();
        for part in 0..3 {
            // Spread over the file, another bit each time.
            let offset = length * (2 * part + 1) / 6;
            copy_folder(&node.data_dir, &copy)?;
            flip_bit(
                &copy.join("store").join(name),
                offset,
                u8::try_from(tried % 8)?,
            )?;
            let what = format!("{} at {offset} of {length}", name.to_string_lossy());
            located += u64::from(fails(node, &copy, &what).await?.is_some());
            std::fs::remove_dir_all(&copy)?;
            tried += 1;
        }
    }
    // What describes the database itself, or a table as a whole, belongs to no height.
    ensure!(
        tried >= 6 && located * 2 > tried,
        "{located} of {tried} are told with a height"
    );

    // A whole chain that is gone is found, unless only others are asked for.
    copy_folder(&node.data_dir, &copy)?;
    drop_chain(&copy.join("store"), "health")?;
    fails(node, &copy, "chain health dropped").await?;
    let (report, code) = node.audit_of(&copy, &["degree", "property"]).await?;
    ensure!(code == Some(0), "{report}");
    let chains = report.get("chains").and_then(Value::as_array);
    ensure!(chains.is_some_and(|chains| chains.len() == 3), "{report}");
    std::fs::remove_dir_all(&copy)?;

    // The node itself still starts on its own, untouched data.
    cluster.node_mut(0)?.start().await?;
    cluster.wait_ready(PATIENCE).await?;
    cluster.finish().await?;
    Ok(())
}
