//! Validators and observers on real nodes: a fifth node follows, votes, and is needed; one is removed;
//! one changes its vote key while the network runs. All six chains follow, everything is proven from
//! genesis, and every node's data is audited.

use certchain_proto::wire::v1::Code;

use super::*;

/// A network in which the offices decide on its members.
struct Network {
    cluster: Cluster,
    desk: Desk,
    /// A number for each thing that must be new.
    fresh: u64,
}

impl Network {
    fn fresh(&mut self) -> u64 {
        self.fresh += 1;
        self.fresh
    }

    /// Decided by these offices, through their own nodes; the proposal's id.
    async fn decide(&self, offices: &[usize], change: &[&str]) -> anyhow::Result<String> {
        let cluster = &self.cluster;
        let first = *offices.first().context("no office")?;
        let arguments = [&["propose", "--after-blocks", "14"], change].concat();
        let proposed = done(cluster, first, Some(first), &arguments).await?;
        let id = text(&proposed, "proposal")?.to_owned();
        let due = number(&proposed, "execution_height")?;
        for office in offices {
            done(cluster, *office, Some(*office), &["vote", &id, "--approve"]).await?;
        }
        // Some that are shut out by the change do not come to that height.
        cluster.node(first)?.wait_height(due, PATIENCE).await?;
        let shown = done(cluster, first, None, &["show", &id]).await?;
        ensure!(text(&shown, "status")? == "executed", "{shown}");
        Ok(id)
    }

    /// Waits until every validator was seen to sign, so that the set may change.
    async fn all_have_signed(&self, through: usize) -> anyhow::Result<()> {
        until("that all have signed", 3 * PATIENCE, || async {
            let shown = done(&self.cluster, through, None, &["show"]).await?;
            let members = shown["members"].as_array().context("no members")?;
            let silent = members.iter().filter(|m| m["signed_recently"] != true);
            let silent: Vec<_> = silent.map(|m| m["name"].clone()).collect();
            ensure!(silent.is_empty(), "{silent:?} have not");
            Ok(())
        })
        .await
    }

    /// Somebody is registered through a node: main decides.
    async fn register(&mut self, through: usize) -> anyhow::Result<()> {
        let n = 1_000 + self.fresh();
        let transaction = self.cluster.office.register(n);
        let node = self.cluster.node(through)?;
        let receipt = node.client()?.submit_and_wait(transaction).await?;
        ensure!(receipt.code == i32::from(Code::Ok), "{receipt:?}");
        Ok(())
    }

    /// Certificates are issued until the side chain has taken the epoch, and then one more.
    async fn side_chain_follows(&self, epoch: u64, through: usize) -> anyhow::Result<()> {
        let graduate = self.desk.register(AccountKind::Citizen).await?;
        let values = [
            field("school", "School 1"),
            field("subject", "Law"),
            field("level", "Master"),
            field("awarded_on", "2026-06-30"),
        ];
        let school = &self.cluster.office.school;
        let holders = [&graduate];
        let issue = || self.desk.issue("degree", school, &holders, &values);
        until("the side chain's next epoch", PATIENCE, || async {
            issue().await?;
            let status = self.cluster.node(through)?.status_of("degree").await?;
            ensure!(status.epoch == epoch, "epoch {}", status.epoch);
            Ok(())
        })
        .await?;
        let height = issue().await?.receipt()?.height;
        let anchored = self.desk.wait_anchor("degree", height, PATIENCE).await?;
        ensure!(anchored >= height);
        Ok(())
    }

    async fn votes_on(&self, node: usize, chain: &str, expected: bool) -> anyhow::Result<()> {
        until("its vote", PATIENCE, || async {
            let status = self.cluster.node(node)?.status_of(chain).await?;
            ensure!(status.voting == expected, "voting: {}", status.voting);
            Ok(())
        })
        .await
    }

    async fn members(&self, through: usize) -> anyhow::Result<(u64, Vec<String>)> {
        let shown = done(&self.cluster, through, None, &["show"]).await?;
        let members = shown["members"].as_array().context("no members")?;
        let names = members.iter().map(|m| text(m, "name").map(str::to_owned));
        Ok((number(&shown, "epoch")?, names.collect::<Result<_, _>>()?))
    }
}

#[tokio::test]
async fn validators_come_and_go_and_change_their_keys() -> anyhow::Result<()> {
    let cluster = Cluster::start(ClusterOptions::default()).await?;
    let desk = Desk::open(&cluster, &[1]).await?;
    let mut network = Network {
        cluster,
        desk,
        fresh: 0,
    };
    network.all_have_signed(0).await?;
    a_fifth_comes(&mut network).await?;
    the_first_goes(&mut network).await?;
    one_changes_its_key(&mut network).await?;

    let genesis = network.cluster.folder().join("genesis.toml");
    let genesis = genesis.to_str().context("no text")?.to_owned();
    // The first node's data ends where it was shut out; what it has is good.
    let removed = network.cluster.nodes.remove(0);
    let (report, code) = removed.audit(&removed.data_dir).await?;
    ensure!(code == Some(0), "{report}");
    let listed = done(&network.cluster, 0, None, &["list"]).await?;
    let newest = text(&listed["proposals"][0], "proposal")?;
    let arguments = ["show", newest, "--verify", "--genesis", &genesis];
    let proven = done(&network.cluster, 0, None, &arguments).await?;
    ensure!(proven["verified"] == true, "{proven}");
    network.cluster.finish().await?;
    Ok(())
}

/// It follows as an observer, is admitted, and then the others need it.
async fn a_fifth_comes(network: &mut Network) -> anyhow::Result<()> {
    let five = network.cluster.add_outsider().await?;
    let node = network.cluster.node(five)?;
    let name = node.name.clone();
    let key = node.public_key("network_key").await?;
    let admit = ["admit-observer", &name, &key];
    network.decide(&[0, 1, 2], &admit).await?;
    network.cluster.node_mut(five)?.start().await?;
    let here = network.cluster.node(0)?.status().await?.height;
    let node = network.cluster.node(five)?;
    node.wait_height(here, PATIENCE).await?;
    ensure!(!node.status().await?.voting, "it only follows");

    let application = node.apply("application.toml", &[]).await?;
    let application = application.to_str().context("no text")?;
    let admit = ["admit-validator", "--application", application];
    network.decide(&[0, 1, 2], &admit).await?;
    let expected = ["node-0", "node-1", "node-2", "node-3", &name].map(str::to_owned);
    ensure!(network.members(five).await? == (1, expected.to_vec()));
    network.votes_on(five, "main", true).await?;
    network.side_chain_follows(1, five).await?;
    network.votes_on(five, "degree", true).await?;

    // Four of five decide: without the first of the old ones only with the new one.
    network.cluster.node_mut(3)?.kill()?;
    network.register(five).await?;
    network.cluster.node_mut(3)?.start().await?;
    network.all_have_signed(five).await
}

/// Its vote counts no more, and nobody lets it connect.
async fn the_first_goes(network: &mut Network) -> anyhow::Result<()> {
    let five = network.cluster.nodes.len() - 1;
    network
        .decide(&[1, 2, 3, five], &["remove-validator", "node-0"])
        .await?;
    until("its being shut out", PATIENCE, || async {
        let peers = network.cluster.node(0)?.metric("certchain_peers").await?;
        ensure!(peers == 0.0, "{peers} peers");
        Ok(())
    })
    .await?;
    network.cluster.node_mut(0)?.terminate().await?;
    let (epoch, names) = network.members(1).await?;
    ensure!((epoch, names.len()) == (2, 4) && !names.contains(&"node-0".to_owned()));
    network.side_chain_follows(2, five).await?;
    let change = ["propose", "--after-blocks", "5", "tag-key-version", "2"];
    let output = governance(&network.cluster, 1, Some(0), &change).await?;
    ensure!(!output.status.success(), "it proposes");
    network.cluster.node_mut(2)?.kill()?;
    network.register(five).await?;
    network.cluster.node_mut(2)?.start().await?;
    network.all_have_signed(five).await
}

/// It has both keys while the change comes, and the new one counts from the next height on.
async fn one_changes_its_key(network: &mut Network) -> anyhow::Result<()> {
    let five = network.cluster.nodes.len() - 1;
    let node = network.cluster.node_mut(1)?;
    node.new_key("next-vote.key").await?;
    node.set_key("next_vote_key", Some("next-vote.key"))?;
    node.terminate().await?;
    node.start().await?;
    let application = node.apply("rotation.toml", &["--next"]).await?;
    let application = application.to_str().context("no text")?;
    node.wait_ready(PATIENCE).await?;
    let rotate = ["rotate-keys", "node-1", "--application", application];
    network.decide(&[2, 3, five], &rotate).await?;
    ensure!(network.members(five).await?.0 == 3);
    network.votes_on(1, "main", true).await?;
    // Three of four decide: with two of the others only with the new key.
    network.cluster.node_mut(3)?.kill()?;
    network.register(1).await?;
    network.cluster.node_mut(3)?.start().await?;
    network.side_chain_follows(3, 1).await?;
    network.votes_on(1, "degree", true).await?;

    // The new key takes the old one's place in the configuration too.
    let node = network.cluster.node_mut(1)?;
    node.set_key("next_vote_key", None)?;
    node.set_key("vote_key", Some("next-vote.key"))?;
    node.terminate().await?;
    node.start().await?;
    network.votes_on(1, "main", true).await
}
