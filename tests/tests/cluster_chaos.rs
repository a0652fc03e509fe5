//! What the network bears of chance: random nodes killed and stopped under load, one after the other,
//! several together, all at once. The events follow from a seed, which is printed;
//! [`certchain_tests::cluster::chaos`] names the variables that replay it or go on for longer.

use certchain_tests::cluster::chaos;

#[tokio::test]
async fn four_nodes_bear_random_kills_and_stops() -> anyhow::Result<()> {
    chaos::run(4, 24).await?;
    Ok(())
}

#[tokio::test]
async fn seven_nodes_bear_random_kills_and_stops() -> anyhow::Result<()> {
    chaos::run(7, 12).await?;
    Ok(())
}
