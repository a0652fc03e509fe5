//! `certchain chain anchor`: how far main has anchored a side chain.

use certchain_config::SideChain;
use clap::Args;

use super::{failure::Failure, lookup::side_chain, output::Report, session::Common};

/// `certchain chain anchor ...`
#[derive(Args, Debug)]
pub struct AnchorArgs {
    /// The side chain: marriage, property, degree, business or health
    #[arg(value_parser = side_chain)]
    chain: SideChain,
}

/// The last anchor and how far it lags behind.
pub async fn anchor(common: &Common, args: &AnchorArgs) -> Result<Report, Failure> {
    let name = args.chain.name();
    let answer = common.connect()?.anchor(name, false).await?;
    let title = match answer.height {
        0 => format!("Main has anchored no block of {name} yet"),
        height => format!("Main has anchored {name} up to height {height}"),
    };
    Ok(Report::new(title)
        .field("chain", name)
        .hex("chain_id", &answer.chain_id)
        .field("height", answer.height)
        .hex("block_id", &answer.block_id)
        .time("time_ms", answer.time_ms)
        .field("epoch", answer.epoch)
        .field("main_height", answer.main_height)
        .time("main_time_ms", answer.main_time_ms)
        .field("lag_blocks", answer.lag_blocks)
        .field("lag_ms", answer.lag_ms)
        .field("frozen", answer.frozen))
}
