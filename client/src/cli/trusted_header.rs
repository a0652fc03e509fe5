//! A block of main that a verifier trusts, kept in a file until it is needed off line.
//!
//! The file is text: a comment, `format = "certchain header 1"`, and `header`, the encoded
//! `BlockHeader` with the block's commit certificate, in hexadecimal digits. If main's validators
//! have changed since genesis, `validators` lists the changes, each an encoded `ValidatorSetChange`
//! in hexadecimal digits, so that blocks of their epochs can be checked off line.

use std::path::{Path, PathBuf};

use certchain_client::{
    atomic_file::{self, Access, read_limited},
    connection::BlockRef,
    light::LightClient,
    text_file::FileError,
};
use certchain_ledger::evidence::VerifiedHeader;
use certchain_proto::{
    Height,
    wire::v1::{BlockHeader, ListValidatorSetsResponse, ValidatorSetChange},
};
use clap::Args;
use prost::Message as _;
use serde::Deserialize;

use super::{
    exit_code::Exit,
    failure::Failure,
    output::Report,
    registration::MAIN,
    session::{Common, Trust},
    show::proof_fields,
};

const WHAT: &str = "trusted header";
const FORMAT: &str = "certchain header 1";
/// Room for some thousand changes of large sets of validators.
const MAX_FILE_BYTES: u64 = 64 * 1024 * 1024;

/// `certchain chain header ...`
#[derive(Args, Debug)]
pub struct HeaderArgs {
    /// Height of the block of main [default: the last]
    height: Option<u64>,
    /// The network's genesis file: the block is checked against it
    #[arg(long, env = "CERTCHAIN_GENESIS", value_name = "FILE")]
    genesis: PathBuf,
    /// File to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// Fetches a header of main, checks it and writes it to a file.
pub async fn fetch(common: &Common, args: &HeaderArgs) -> Result<Report, Failure> {
    let connection = common.connect()?;
    let trust = Trust::load(&args.genesis)?;
    let wanted = args.height.map(Height::new);
    let wanted = wanted.map_or(BlockRef::Last, BlockRef::Height);
    let block = connection.block(MAIN, wanted, true).await?;
    let header = block.header.unwrap_or_default();
    let mut main = trust.main_of_genesis();
    let changes = connection.follow_validators(MAIN, &mut main).await?;
    let proven = main.header(&header)?;
    if matches!(wanted, BlockRef::Height(height) if height != proven.header.height) {
        let message = "the node answers with another block";
        return Err(Failure::new(Exit::Unverified, message));
    }
    let text = file_text(&header, &changes);
    if text.len() as u64 > MAX_FILE_BYTES {
        let message = "main's validators have changed too often for a file; check on line";
        return Err(Failure::new(Exit::Failed, message));
    }
    atomic_file::create(&args.out, text.as_bytes(), Access::Everybody)
        .map_err(|error| FileError::writing(&args.out, error))?;
    let report =
        Report::new("Trusted header written").field("file", args.out.display().to_string());
    Ok(proof_fields(report, &proven))
}

fn file_text(header: &BlockHeader, changes: &[ValidatorSetChange]) -> String {
    let mut text = format!(
        "# A block of main that was checked against the genesis. Holds no secret.\n\
         format = \"{FORMAT}\"\nheader = \"{}\"\n",
        hex::encode(header.encode_to_vec())
    );
    if !changes.is_empty() {
        let line = |change: &ValidatorSetChange| {
            let digits = hex::encode(change.encode_to_vec());
            format!("    \"{digits}\",\n")
        };
        let lines: String = changes.iter().map(line).collect();
        text = format!("{text}validators = [\n{lines}]\n");
    }
    text
}

/// Reads a file, and checks the changes of main's validators, which `main` takes over, and the block
/// again.
pub fn read(path: &Path, main: &mut LightClient) -> Result<VerifiedHeader, Failure> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Raw {
        format: String,
        header: String,
        #[serde(default)]
        validators: Vec<String>,
    }
    let malformed = |problem: &str| FileError::Malformed {
        path: path.to_owned(),
        what: WHAT,
        problem: problem.to_owned(),
    };
    let bytes = read_limited(path, MAX_FILE_BYTES)
        .map_err(|error| FileError::reading(path, WHAT, error))?;
    let text = String::from_utf8(bytes).map_err(|_| malformed("it is not text"))?;
    let raw: Raw = toml::from_str(&text).map_err(|_| malformed("format or header is missing"))?;
    if raw.format != FORMAT {
        return Err(malformed("it is of another format or release").into());
    }
    let bytes = hex::decode(&raw.header).map_err(|_| malformed("header is not hexadecimal"))?;
    let header = BlockHeader::decode(bytes.as_slice())
        .map_err(|_| malformed("header is no encoded header"))?;
    let change = |digits: &String| {
        let bytes = hex::decode(digits).ok()?;
        ValidatorSetChange::decode(bytes.as_slice()).ok()
    };
    let changes = raw.validators.iter().map(change).collect::<Option<_>>();
    let changes = changes.ok_or_else(|| malformed("validators are no encoded changes"))?;
    main.learn(&ListValidatorSetsResponse { changes })?;
    Ok(main.header(&header)?)
}
