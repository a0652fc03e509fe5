//! The command `certchain`: wallets, identities and chains for people and scripts.

mod cli;

fn main() -> std::process::ExitCode {
    cli::run()
}
