//! Golden vectors of every signed, hashed and stored structure (docs/formats.md): recomputed here
//! and compared with the committed files under `tests/vectors`.
//!
//! A difference means that a format changed, which forks every chain. If that is meant, say so in
//! the change log and write the files anew:
//!
//! ```text
//! CERTCHAIN_BLESS=1 cargo test -p certchain-tests --test vectors
//! ```
//!
//! The same files are checked by `tests/conformance/run.sh check`, which shares no code with this
//! workspace.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "vectors/blocks.rs"]
mod blocks;
#[path = "vectors/certificates.rs"]
mod certificates;
#[path = "vectors/consensus.rs"]
mod consensus;
#[path = "vectors/genesis.rs"]
mod genesis;
#[path = "vectors/golden.rs"]
mod golden;
#[path = "vectors/governance.rs"]
mod governance;
#[path = "vectors/hashes.rs"]
mod hashes;
#[path = "vectors/packs.rs"]
mod packs;
#[path = "vectors/people.rs"]
mod people;
#[path = "vectors/presentations.rs"]
mod presentations;
#[path = "vectors/scenario.rs"]
mod scenario;
#[path = "vectors/side_chains.rs"]
mod side_chains;
#[path = "vectors/state.rs"]
mod state;
#[path = "vectors/story.rs"]
mod story;
#[path = "vectors/transactions.rs"]
mod transactions;
#[path = "vectors/trees.rs"]
mod trees;

#[test]
fn the_python_code_computes_the_same() {
    let python = std::process::Command::new("python3")
        .arg("--version")
        .output();
    if !python.is_ok_and(|output| output.status.success()) {
        println!("skipped: this machine has no python3");
        return;
    }
    let script = certchain_tests::cluster::binaries::workspace().join("tests/conformance/run.sh");
    let output = std::process::Command::new(script)
        .arg("check")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    println!("{said}");
    assert!(output.status.success(), "{said}\n{errors}");
}
