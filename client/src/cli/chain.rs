//! `certchain chain`.

use certchain_client::connection::{BlockRef, Connection};
use certchain_ledger::state::StateKey;
use certchain_proto::{
    Height,
    hash::{BlockId, TransactionId},
    wire::v1::{Block, GetStatusResponse},
};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{
    CommandResult, Stop,
    anchor::{AnchorArgs, anchor},
    exit_code::Exit,
    failure::Failure,
    output::Report,
    session::{Common, Verify},
    show::{Subject, code_name, header_fields, proof_fields, receipt_fields, transaction_value},
    trusted_header::{HeaderArgs, fetch},
};

/// `certchain chain ...`
#[derive(Subcommand, Debug)]
pub enum ChainCommand {
    /// The state of a chain on the node
    Status(ChainArgs),
    /// A block, the last one if none is named
    Block {
        /// Height, or id as 64 hexadecimal digits
        block: Option<String>,
        #[command(flatten)]
        chain: ChainArgs,
        #[command(flatten)]
        verify: Verify,
    },
    /// A decided transaction and what became of it
    Tx {
        /// Its id, 64 hexadecimal digits
        id: String,
        #[command(flatten)]
        chain: ChainArgs,
        #[command(flatten)]
        verify: Verify,
    },
    /// Blocks as they are decided, until interrupted
    Watch {
        /// First height [default: the next block]
        #[arg(long, value_name = "HEIGHT")]
        from: Option<u64>,
        /// Stop after so many blocks
        #[arg(long, value_name = "COUNT")]
        count: Option<u64>,
        #[command(flatten)]
        chain: ChainArgs,
        #[command(flatten)]
        verify: Verify,
    },
    /// How far main has anchored a side chain
    Anchor(AnchorArgs),
    /// Keep a block of main that is trusted, for checks off line
    Header(HeaderArgs),
    /// Proofs of a value of the state, or of a block's place in the history
    #[command(subcommand)]
    Proof(ProofCommand),
}

/// Which chain.
#[derive(Args, Debug)]
pub struct ChainArgs {
    /// Name of the chain
    #[arg(long, value_name = "NAME", default_value = "main")]
    chain: String,
}

/// `certchain chain proof ...`
#[derive(Subcommand, Debug)]
pub enum ProofCommand {
    /// A value of the state, or its absence
    State {
        /// The key in hexadecimal digits (docs/formats.md lists the namespaces)
        key: String,
        /// Height; only recent ones can be proven [default: the last]
        #[arg(long, value_name = "HEIGHT")]
        at_height: Option<u64>,
        #[command(flatten)]
        chain: ChainArgs,
        #[command(flatten)]
        verify: Verify,
    },
    /// That a block belongs to the history of a later one
    History {
        /// Height of the earlier block
        height: u64,
        /// Height of the later block [default: the last]
        #[arg(long, value_name = "HEIGHT")]
        at_height: Option<u64>,
        #[command(flatten)]
        chain: ChainArgs,
        #[command(flatten)]
        verify: Verify,
    },
}

/// Runs a command.
pub async fn run(common: &Common, command: ChainCommand) -> CommandResult {
    let connection = common.connect()?;
    let report = match command {
        ChainCommand::Status(args) => {
            let (node, status) = (
                connection.node().await?,
                connection.status(&args.chain).await?,
            );
            status_report(&status)
                .field("node", node.name)
                .field("version", node.version)
                .field("network", node.network)
        }
        ChainCommand::Block {
            block,
            chain,
            verify,
        } => {
            let block = block.as_deref().map_or(Ok(BlockRef::Last), block_ref)?;
            one_block(&connection, &chain.chain, block, &verify).await?
        }
        ChainCommand::Anchor(args) => anchor(common, &args).await?,
        ChainCommand::Header(args) => fetch(common, &args).await?,
        ChainCommand::Tx { id, chain, verify } => {
            transaction(&connection, &chain.chain, &id, &verify).await?
        }
        ChainCommand::Watch {
            from,
            count,
            chain,
            verify,
        } => {
            return watch(common, &connection, from, count, &chain.chain, &verify).await;
        }
        ChainCommand::Proof(ProofCommand::State {
            key,
            at_height,
            chain,
            verify,
        }) => state_proof(&connection, &key, at_height, &chain.chain, &verify).await?,
        ChainCommand::Proof(ProofCommand::History {
            height,
            at_height,
            chain,
            verify,
        }) => history_proof(&connection, height, at_height, &chain.chain, &verify).await?,
    };
    common.output().write(report).map_err(Stop::OutputClosed)
}

fn status_report(status: &GetStatusResponse) -> Report {
    Report::new(format!("Chain {}", status.chain))
        .field("chain", status.chain.as_str())
        .hex("chain_id", &status.chain_id)
        .field("height", status.height)
        .hex("block_id", &status.block_id)
        .hex("state_root", &status.state_root)
        .time("time_ms", status.time_ms)
        .field("view", status.view)
        .field("epoch", status.epoch)
        .field("validators", status.validators)
        .field("quorum", status.quorum)
        .field("peers", status.peers)
        .field("mempool", status.mempool)
        .field(
            "transaction_window_seconds",
            status.transaction_window_ms / 1000,
        )
        .field("voting", status.voting)
        .field("ready", status.ready)
        .field("halted", status.halted.as_str())
}

fn block_ref(text: &str) -> Result<BlockRef, Failure> {
    if let Ok(height) = text.parse() {
        return Ok(BlockRef::Height(Height::new(height)));
    }
    BlockId::from_hex(text)
        .map(BlockRef::Id)
        .ok_or_else(|| Failure::usage("a block is named by its height or 64 hexadecimal digits"))
}

async fn one_block(
    connection: &Connection,
    chain: &str,
    wanted: BlockRef,
    verify: &Verify,
) -> Result<Report, Failure> {
    let light = verify.light_client_of(chain)?;
    let block = connection.block(chain, wanted, false).await?;
    let report = block_report(&block)?;
    let Some(mut light) = light else {
        return Ok(report);
    };
    let proven = light.caught_up(connection).await?.block(&block)?;
    let other = match wanted {
        BlockRef::Last => false,
        BlockRef::Height(height) => proven.header.header.height != height,
        BlockRef::Id(id) => proven.header.id != id,
    };
    if other {
        return Err(Failure::new(
            Exit::Unverified,
            "the node answers with another block",
        ));
    }
    Ok(proof_fields(report, &proven.header))
}

fn block_report(block: &Block) -> Result<Report, Failure> {
    let header = block
        .header
        .as_ref()
        .ok_or_else(|| Failure::new(Exit::Failed, "the node's block has no header"))?;
    let transactions: Vec<Value> = block
        .transactions
        .iter()
        .enumerate()
        .map(|(index, transaction)| {
            let mut value = transaction_value(transaction);
            if let (Some(map), Some(receipt)) = (value.as_object_mut(), block.receipts.get(index)) {
                map.insert("code".to_owned(), code_name(receipt.code).into());
            }
            value
        })
        .collect();
    let report = header_fields(Report::new(format!("Block {}", header.height)), header);
    Ok(report.field("transactions", transactions))
}

async fn transaction(
    connection: &Connection,
    chain: &str,
    id: &str,
    verify: &Verify,
) -> Result<Report, Failure> {
    let id = TransactionId::from_hex(id)
        .ok_or_else(|| Failure::usage("a transaction is named by 64 hexadecimal digits"))?;
    let light = verify.light_client_of(chain)?;
    let answer = connection.transaction(chain, &id, light.is_some()).await?;
    let (Some(envelope), Some(receipt)) = (&answer.transaction, &answer.receipt) else {
        return Err(Failure::new(
            Exit::Failed,
            "the node's answer lacks transaction or receipt",
        ));
    };
    let subject = Subject::of_envelope(envelope);
    let report = receipt_fields(Report::new("Transaction"), receipt, subject)
        .field("body", transaction_value(envelope));
    match light {
        None => Ok(report),
        Some(mut light) => {
            let light = light.caught_up(connection).await?;
            let proven = light.transaction(&id, &answer)?;
            Ok(proof_fields(report, &proven.block))
        }
    }
}

async fn watch(
    common: &Common,
    connection: &Connection,
    from: Option<u64>,
    count: Option<u64>,
    chain: &str,
    verify: &Verify,
) -> CommandResult {
    let mut light = verify.light_client_of(chain)?;
    if let Some(light) = &mut light {
        light.caught_up(connection).await?;
    }
    let mut watch = connection.watch(chain, from.map(Height::new), false);
    let mut left = count.unwrap_or(u64::MAX);
    while left > 0 {
        let block = tokio::select! {
            block = watch.next() => block?,
            // The usual way to end a watch is no failure.
            _ = tokio::signal::ctrl_c() => return Ok(()),
        };
        let mut report = block_report(&block)?;
        if let Some(light) = &mut light {
            let light = light
                .caught_up_to(connection, block.header.as_ref())
                .await?;
            report = proof_fields(report, &light.block(&block)?.header);
        }
        common.output().write(report).map_err(Stop::OutputClosed)?;
        left -= 1;
    }
    Ok(())
}

async fn state_proof(
    connection: &Connection,
    key: &str,
    at_height: Option<u64>,
    chain: &str,
    verify: &Verify,
) -> Result<Report, Failure> {
    let key =
        hex::decode(key).map_err(|_| Failure::usage("the key is given in hexadecimal digits"))?;
    let key = StateKey::new(&key).map_err(|error| Failure::usage(error.to_string()))?;
    let light = verify.light_client_of(chain)?;
    let at = at_height.map(Height::new);
    let answer = connection.state_proof(chain, key.as_bytes(), at).await?;
    let proof = answer.proof.clone().unwrap_or_default();
    let branches: Vec<Value> = proof
        .branches
        .iter()
        .map(|branch| json!({ "bit": branch.bit, "sibling": hex::encode(&branch.sibling) }))
        .collect();
    let report = Report::new("State proof")
        .field("key", key.to_string())
        .field("present", answer.present)
        .hex("value", &answer.value)
        .maybe("height", answer.block.as_ref().map(|block| block.height))
        .maybe(
            "state_root",
            answer
                .block
                .as_ref()
                .map(|block| hex::encode(&block.state_root)),
        )
        .hex("leaf_key", &proof.leaf_key)
        .hex("leaf_value_hash", &proof.leaf_value_hash)
        .field("branches", branches);
    match light {
        None => Ok(report),
        Some(mut light) => {
            let light = light.caught_up(connection).await?;
            let proven = light.state_value(&key, at, &answer)?;
            Ok(proof_fields(report, &proven.block))
        }
    }
}

async fn history_proof(
    connection: &Connection,
    height: u64,
    at_height: Option<u64>,
    chain: &str,
    verify: &Verify,
) -> Result<Report, Failure> {
    let light = verify.light_client_of(chain)?;
    let (height, at) = (Height::new(height), at_height.map(Height::new));
    let answer = connection.history_proof(chain, height, at).await?;
    let proof = answer.proof.clone().unwrap_or_default();
    let hashes = |list: &[Vec<u8>]| list.iter().map(hex::encode).collect::<Vec<_>>();
    let report = Report::new("History proof")
        .field("height", height.get())
        .hex("block_id", &answer.block_id)
        .maybe(
            "later_height",
            answer.block.as_ref().map(|block| block.height),
        )
        .maybe(
            "later_block_id",
            answer
                .block
                .as_ref()
                .map(|block| hex::encode(&block.block_id)),
        )
        .field("size", proof.size)
        .field("siblings", hashes(&proof.siblings))
        .field("peaks", hashes(&proof.peaks));
    let Some(mut light) = light else {
        return Ok(report);
    };
    let light = light.caught_up(connection).await?;
    let (_, later) = light.history(height, &answer)?;
    if at.is_some_and(|at| at != later.header.height) {
        return Err(Failure::new(
            Exit::Unverified,
            "the proof is for another later block",
        ));
    }
    Ok(proof_fields(report, &later))
}
