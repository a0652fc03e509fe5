//! A folder in which the command runs.

use std::{
    fs,
    net::TcpListener,
    path::PathBuf,
    process::{Command, Output},
};

use certchain_client::wallet::{Passphrase, Wallet};
use serde_json::Value;
use tempfile::TempDir;

pub struct Place {
    folder: TempDir,
}

impl Place {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("pass"), "correct horse\n").unwrap();
        Self { folder }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs the command with a passphrase file, no terminal and a clean environment.
    pub fn run(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_certchain"))
            .args(["--passphrase-file", "pass"])
            .args(arguments)
            .current_dir(self.folder.path())
            .env_clear()
            .stdin(std::process::Stdio::null())
            .output()
            .unwrap()
    }

    /// Runs it, checks the exit code, gives both outputs as text.
    pub fn expect(&self, exit: i32, arguments: &[&str]) -> (String, String) {
        let output = self.run(arguments);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
        assert_eq!(
            output.status.code(),
            Some(exit),
            "{arguments:?}: {stdout} {stderr}"
        );
        (stdout, stderr)
    }

    /// Runs it with `--json` and reads the answer.
    pub fn json(&self, exit: i32, arguments: &[&str]) -> Value {
        let mut all = vec!["--json"];
        all.extend_from_slice(arguments);
        serde_json::from_str(&self.expect(exit, &all).0).unwrap()
    }

    /// Makes a wallet with cheap parameters and opens it.
    pub fn wallet(&self, name: &str, kind: &str, code: &str) -> Wallet {
        let mut arguments = vec!["wallet", "new", "--wallet", name, "--name", "Some Body"];
        let cheap = ["--kdf-memory-kib", "8", "--kdf-passes", "1"];
        arguments.extend_from_slice(&["--kind", kind]);
        arguments.extend_from_slice(&cheap);
        if !code.is_empty() {
            arguments.extend_from_slice(&["--organisation-code", code]);
        }
        self.expect(0, &arguments);
        Wallet::open(&self.path(name), &Passphrase::new("correct horse").unwrap()).unwrap()
    }
}

/// A URL on which nobody listens.
pub fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}
