//! One node: it decides alone, ends cleanly, and refuses to start on what is wrong, each time with
//! a sentence that says what to do.

use std::{
    fs::{self, OpenOptions},
    net::TcpListener,
};

use anyhow::{Context as _, ensure};
use certchain_config::{Genesis, GenesisContent};
use certchain_proto::{TimeMs, hash::TransactionId, wire::v1::Code};
use certchain_tests::cluster::{
    Cluster, ClusterOptions, Node,
    damage::{copy_folder, file_named, files, flip_bit},
    load::Load,
    node::run,
    wait::PATIENCE,
};

async fn refuses(node: &mut Node, words: &[&str]) -> anyhow::Result<String> {
    let (status, said) = node.start_refused().await?;
    ensure!(!status.success(), "it ended with {status}");
    ensure!(status.code().is_some(), "a signal ended it: {status}");
    ensure!(!said.contains("panicked"), "it panicked:\n{said}");
    let text = said.to_lowercase();
    for word in words {
        ensure!(
            text.contains(&word.to_lowercase()),
            "'{word}' is not in what it said:\n{said}"
        );
    }
    Ok(said)
}

#[tokio::test]
async fn one_node_decides_alone_and_ends_cleanly() -> anyhow::Result<()> {
    let mut cluster = Cluster::start(ClusterOptions::of(1)).await?;
    let receipt = cluster
        .node(0)?
        .client()?
        .submit_and_wait(cluster.office.register(1))
        .await?;
    ensure!(receipt.code == i32::from(Code::Ok));
    // An idle chain goes on, by heartbeats.
    cluster
        .node(0)?
        .wait_height(receipt.height + 2, PATIENCE)
        .await?;
    let status = cluster.node_mut(0)?.terminate().await?;
    ensure!(status.code() == Some(0), "SIGTERM ended it with {status}");
    let log = cluster.node(0)?.log_text();
    ensure!(
        log.contains("stopped"),
        "it did not say that it stopped:\n{log}"
    );

    // What was decided is there again, and more comes on top, also after a power cut.
    cluster.start_all().await?;
    let client = cluster.node(0)?.client()?;
    let again = client.block(None).await?.header.context("no header")?;
    ensure!(again.height >= receipt.height);
    let receipt = client.submit_and_wait(cluster.office.register(2)).await?;
    cluster.node_mut(0)?.kill()?;
    cluster.start_all().await?;
    let id = TransactionId::from_slice(&receipt.transaction_id);
    let client = cluster.node(0)?.client()?;
    let found = client.wait_receipt(&id.context("no id")?, PATIENCE).await?;
    ensure!(found == receipt, "a receipt changed");
    cluster.finish().await?;
    Ok(())
}

#[tokio::test]
async fn a_data_folder_and_ports_belong_to_one_daemon() -> anyhow::Result<()> {
    let mut cluster = Cluster::start(ClusterOptions::of(1)).await?;
    let node = cluster.node(0)?;

    // Another daemon, other ports, the same data folder.
    let text = fs::read_to_string(&node.config)?;
    let mut other = text.clone();
    for address in [
        node.addresses.listen,
        node.addresses.grpc,
        node.addresses.metrics,
    ] {
        other = other.replace(&format!(":{}\"", address.port()), ":0\"");
        other = other.replace(&format!("/tcp/{}\"", address.port()), "/tcp/0\"");
    }
    ensure!(other != text);
    let config = node.folder.join("second.toml");
    fs::write(&config, other)?;
    let output = run(&["run", "--config", config.to_str().context("no text")?]).await?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(
        output.status.code().is_some_and(|code| code != 0),
        "{}",
        output.status
    );
    ensure!(
        said.contains("in use by another") && !said.contains("panicked"),
        "{said}"
    );
    // The first one has not noticed.
    cluster
        .node(0)?
        .client()?
        .submit_and_wait(cluster.office.register(1))
        .await?;

    // Somebody else has a port.
    let node = cluster.node_mut(0)?;
    node.terminate().await?;
    let addresses = node.addresses;
    for taken in [addresses.grpc, addresses.metrics, addresses.listen] {
        let port = taken.port().to_string();
        node.release_ports();
        let listener = TcpListener::bind(taken).context("the test cannot take the port")?;
        refuses(node, &["listen", &port]).await?;
        drop(listener);
    }
    cluster.start_all().await?;
    cluster.finish().await?;
    Ok(())
}

#[tokio::test]
async fn another_genesis_than_the_stores_is_refused() -> anyhow::Result<()> {
    let mut cluster = Cluster::start(ClusterOptions::of(1)).await?;
    cluster
        .node(0)?
        .client()?
        .submit_and_wait(cluster.office.register(1))
        .await?;
    cluster.terminate().await?;
    let mut content: GenesisContent = cluster.genesis.clone().into();
    content.time_ms = TimeMs::new(content.time_ms.get() + 1);
    let other = Genesis::new(content)?;
    let file = cluster.node(0)?.folder.join("genesis.toml");
    fs::write(&file, other.to_toml())?;
    refuses(cluster.node_mut(0)?, &["genesis"]).await?;
    fs::write(&file, "this is = [no genesis")?;
    refuses(cluster.node_mut(0)?, &["genesis.toml"]).await?;
    fs::write(&file, cluster.genesis.to_toml())?;
    cluster.start_all().await?;
    cluster.finish().await?;
    Ok(())
}

#[tokio::test]
async fn a_corrupt_store_is_refused() -> anyhow::Result<()> {
    let mut cluster = Cluster::create(ClusterOptions::of(1)).await?;
    // Twice, so that there are table files of the first run and a log of the second.
    for first in [1, 10_000] {
        cluster.start_all().await?;
        let load = Load::start(&cluster, first)?;
        load.wait_more(400).await?;
        load.finish().await?.settle(&cluster, &[]).await?;
        cluster.node_mut(0)?.kill()?;
    }
    let store = cluster.node(0)?.data_dir.join("store");
    let safe = cluster.folder().join("safe");
    copy_folder(&store, &safe)?;

    type Damage = (&'static str, fn(&std::path::Path) -> anyhow::Result<()>);
    let damages: [Damage; 5] = [
        ("CURRENT is cut", |store| {
            Ok(fs::write(store.join("CURRENT"), "")?)
        }),
        ("a bit of the manifest", |store| {
            let file = file_named(store, "MANIFEST")?;
            flip_bit(&file, file.metadata()?.len() / 2, 3)
        }),
        ("a bit of the log", |store| {
            let logs = files(store, ".log")?;
            let file = logs.last().context("no log file")?;
            flip_bit(file, file.metadata()?.len() / 2, 5)
        }),
        ("a table is cut", |store| {
            let tables = files(store, ".sst")?;
            let file = tables.first().context("no table file")?;
            let length = file.metadata()?.len();
            Ok(OpenOptions::new()
                .write(true)
                .open(file)?
                .set_len(length / 2)?)
        }),
        ("a table is missing", |store| {
            let tables = files(store, ".sst")?;
            Ok(fs::remove_file(tables.first().context("no table file")?)?)
        }),
    ];
    for (what, damage) in damages {
        damage(&store).context(what)?;
        let said = refuses(cluster.node_mut(0)?, &["database"])
            .await
            .context(what)?;
        let advice = said.contains("restore the node's data") || said.contains("check space");
        ensure!(advice, "{what}: it does not say what to do:\n{said}");
        println!("{what}: {}", said.lines().last().unwrap_or_default());
        fs::remove_dir_all(&store)?;
        copy_folder(&safe, &store)?;
    }
    cluster.start_all().await?;
    cluster.finish().await?;
    Ok(())
}
