//! One node of a cluster: its folder, its addresses, and the process while it runs.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Output},
    time::Duration,
};

use anyhow::{Context as _, bail, ensure};
use certchain_config::node::MAIN;
use certchain_proto::wire::v1::GetStatusResponse;

use super::{
    Client, binaries, http,
    ports::PortHold,
    process::Process,
    wait::{PATIENCE, until},
};

/// How often a start is tried when a port that was released for it is taken.
const START_ATTEMPTS: u32 = 5;

/// How long a node may take to end.
pub const END_DEADLINE: Duration = Duration::from_secs(30);

/// A node's sockets.
#[derive(Clone, Copy, Debug)]
pub struct Addresses {
    /// For peers.
    pub listen: SocketAddr,
    /// gRPC.
    pub grpc: SocketAddr,
    /// Metrics.
    pub metrics: SocketAddr,
}

/// A node.
#[derive(Debug)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// Its folder; everything of it is inside.
    pub folder: PathBuf,
    /// Its configuration.
    pub config: PathBuf,
    /// Store and journal.
    pub data_dir: PathBuf,
    /// Both outputs of all its processes, one after the other.
    pub log: PathBuf,
    /// Where it can be reached.
    pub addresses: Addresses,
    holds: Vec<PortHold>,
    process: Option<Process>,
}

impl Node {
    /// A node that is not running. The ports are kept for it.
    pub fn new(name: &str, folder: &Path, holds: [PortHold; 3]) -> Self {
        let addresses = Addresses {
            listen: holds[0].address(),
            grpc: holds[1].address(),
            metrics: holds[2].address(),
        };
        Self {
            name: name.to_owned(),
            folder: folder.to_owned(),
            config: folder.join("node.toml"),
            data_dir: folder.join("data"),
            log: folder.join("node.log"),
            addresses,
            holds: holds.into(),
            process: None,
        }
    }

    /// Code of the organisation that runs it.
    pub fn organisation_code(&self) -> String {
        self.name.to_uppercase().replace("NODE-", "ORG-")
    }

    /// Makes its application to the network, with these options of the command besides; gives the
    /// file.
    ///
    /// # Errors
    /// If the command fails.
    pub async fn apply(&self, file: &str, options: &[&str]) -> anyhow::Result<PathBuf> {
        let out = self.folder.join(file);
        let (config, code) = (text(&self.config)?, self.organisation_code());
        let mut arguments = vec!["apply", "--config", config, "--code", &code];
        arguments.extend(["--out", text(&out)?]);
        arguments.extend(options);
        operate(&arguments).await?;
        Ok(out)
    }

    /// Makes a new key in a file of its key folder; gives the file.
    ///
    /// # Errors
    /// If the command fails.
    pub async fn new_key(&self, file: &str) -> anyhow::Result<PathBuf> {
        let out = self.folder.join("keys").join(file);
        operate(&["new-key", "--out", text(&out)?]).await?;
        Ok(out)
    }

    /// Writes into its configuration which file of its key folder is this key: `vote_key`,
    /// `next_vote_key` or `network_key`; none takes the line away. Counts from the next start on.
    ///
    /// # Errors
    /// If the configuration cannot be read or written.
    pub fn set_key(&self, key: &str, file: Option<&str>) -> anyhow::Result<()> {
        let before = fs::read_to_string(&self.config)?;
        let mut after = String::new();
        for line in before.lines() {
            if line.split('=').next().is_none_or(|name| name.trim() != key) {
                after.push_str(line);
                after.push('\n');
            }
            if let ("[keys]", Some(file)) = (line.trim(), file) {
                after.push_str(&format!("{key} = \"keys/{file}\"\n"));
            }
        }
        Ok(fs::write(&self.config, after)?)
    }

    /// One of its public keys, by the name that `certchain-node show` has for it.
    ///
    /// # Errors
    /// If the command fails or there is no such key.
    pub async fn public_key(&self, key: &str) -> anyhow::Result<String> {
        let output = run(&["show", "--json", "--config", text(&self.config)?]).await?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "show failed: {errors}");
        let shown: serde_json::Value = serde_json::from_slice(&output.stdout)?;
        let found = shown.get(key).and_then(serde_json::Value::as_str);
        Ok(found
            .with_context(|| format!("it has no {key}"))?
            .to_owned())
    }

    /// Starts the daemon and waits until it serves or has ended.
    ///
    /// # Errors
    /// If it ends at once; shows what it wrote.
    pub async fn start(&mut self) -> anyhow::Result<()> {
        for attempt in 1.. {
            match self.try_start().await {
                Err(error) if attempt < START_ATTEMPTS && is_port_in_use(&error) => {}
                result => return result,
            }
        }
        Ok(())
    }

    async fn try_start(&mut self) -> anyhow::Result<()> {
        ensure!(self.process.is_none(), "{} runs already", self.name);
        let before = self.log_text().len();
        self.holds.clear();
        let mut process = self.spawn()?;
        let client = self.client()?;
        let deadline = PATIENCE;
        let started = std::time::Instant::now();
        loop {
            if client.status().await.is_ok() {
                self.process = Some(process);
                return Ok(());
            }
            if let Some(status) = process.ended()? {
                self.hold_ports()?;
                let log = self.log_text();
                let said = log.get(before..).unwrap_or_default();
                bail!(
                    "{} ended with {status} instead of starting:\n{said}",
                    self.name
                );
            }
            if started.elapsed() > deadline {
                bail!("{} does not serve within {deadline:?}", self.name);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn spawn(&self) -> anyhow::Result<Process> {
        let config = self.config.as_os_str();
        let arguments = ["run".as_ref(), "--config".as_ref(), config];
        Process::start(&binaries::find(binaries::NODE)?, arguments, &self.log)
    }

    /// Starts the daemon although it should refuse, and waits for its end.
    ///
    /// # Errors
    /// If it runs on.
    pub async fn start_refused(&mut self) -> anyhow::Result<(ExitStatus, String)> {
        let before = self.log_text().len();
        self.holds.clear();
        let status = self.spawn()?.wait(END_DEADLINE).await?;
        // A port that the test itself has taken stays with the test.
        let _ = self.hold_ports();
        let log = self.log_text();
        Ok((status, log.get(before..).unwrap_or_default().to_owned()))
    }

    /// Audits a data folder with this node's genesis; gives the report and the exit code.
    ///
    /// # Errors
    /// If the audit prints no report.
    pub async fn audit(&self, data: &Path) -> anyhow::Result<(serde_json::Value, Option<i32>)> {
        self.audit_of(data, &[]).await
    }

    /// [`Self::audit`] of these chains only.
    ///
    /// # Errors
    /// If the audit prints no report.
    pub async fn audit_of(
        &self,
        data: &Path,
        chains: &[&str],
    ) -> anyhow::Result<(serde_json::Value, Option<i32>)> {
        let genesis = self.folder.join("genesis.toml");
        let mut arguments = vec![
            "audit",
            "--json",
            "--dir",
            data.to_str().context("a path that is no text")?,
            "--genesis",
            genesis.to_str().context("a path that is no text")?,
        ];
        for chain in chains {
            arguments.extend(["--chain", chain]);
        }
        let output = run(&arguments).await?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(
            !errors.contains("panicked"),
            "the audit panicked:\n{errors}"
        );
        let report = serde_json::from_slice(&output.stdout)
            .with_context(|| format!("the audit printed no JSON; it said: {errors}"))?;
        Ok((report, output.status.code()))
    }

    /// Ends it like a power cut.
    ///
    /// # Errors
    /// If it does not run.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        let mut process = self.process.take().context("it does not run")?;
        process.kill()?;
        self.hold_ports()
    }

    /// Stops the process where it stands.
    ///
    /// # Errors
    /// If it does not run.
    pub fn freeze(&self) -> anyhow::Result<()> {
        self.process.as_ref().context("it does not run")?.freeze()
    }

    /// Lets a frozen process go on.
    ///
    /// # Errors
    /// If it does not run.
    pub fn resume(&self) -> anyhow::Result<()> {
        self.process.as_ref().context("it does not run")?.resume()
    }

    /// Asks it to end and waits until it has.
    ///
    /// # Errors
    /// If it does not end.
    pub async fn terminate(&mut self) -> anyhow::Result<ExitStatus> {
        let mut process = self.process.take().context("it does not run")?;
        process.ask_to_end()?;
        let status = process.wait(END_DEADLINE).await?;
        self.hold_ports()?;
        Ok(status)
    }

    /// Lets others have its ports while it is down.
    pub fn release_ports(&mut self) {
        self.holds.clear();
    }

    fn hold_ports(&mut self) -> anyhow::Result<()> {
        let Addresses {
            listen,
            grpc,
            metrics,
        } = self.addresses;
        self.holds = [listen, grpc, metrics]
            .into_iter()
            .map(PortHold::again)
            .collect::<anyhow::Result<_>>()?;
        Ok(())
    }

    /// Whether it was started and not ended by us.
    pub const fn is_running(&self) -> bool {
        self.process.is_some()
    }

    /// The process's number.
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Process::pid)
    }

    /// A connection to it.
    ///
    /// # Errors
    /// Never: the address is one.
    pub fn client(&self) -> anyhow::Result<Client> {
        Client::new(self.addresses.grpc)
    }

    /// The main chain's state on it.
    ///
    /// # Errors
    /// If it does not answer.
    pub async fn status(&self) -> anyhow::Result<GetStatusResponse> {
        self.client()?
            .status()
            .await
            .with_context(|| self.name.clone())
    }

    /// A chain's state on it.
    ///
    /// # Errors
    /// If it does not answer.
    pub async fn status_of(&self, chain: &str) -> anyhow::Result<GetStatusResponse> {
        let client = self.client()?;
        let status = client.status_of(chain).await;
        status.with_context(|| format!("{chain} on {}", self.name))
    }

    /// Waits until it is ready.
    ///
    /// # Errors
    /// If it is not within the deadline.
    pub async fn wait_ready(&self, deadline: Duration) -> anyhow::Result<GetStatusResponse> {
        let client = self.client()?;
        until(&format!("{} ready", self.name), deadline, || async {
            let status = client.status().await?;
            ensure!(
                status.ready,
                "height {}, {} peers",
                status.height,
                status.peers
            );
            Ok(status)
        })
        .await
    }

    /// Waits until it has decided a height of main.
    ///
    /// # Errors
    /// If it has not within the deadline.
    pub async fn wait_height(&self, height: u64, deadline: Duration) -> anyhow::Result<u64> {
        self.wait_height_of(MAIN, height, deadline).await
    }

    /// Waits until it has decided a height of a chain.
    ///
    /// # Errors
    /// If it has not within the deadline.
    pub async fn wait_height_of(
        &self,
        chain: &str,
        height: u64,
        deadline: Duration,
    ) -> anyhow::Result<u64> {
        let client = self.client()?;
        until(
            &format!("{} at height {height} of {chain}", self.name),
            deadline,
            || async {
                let status = client.status_of(chain).await?;
                ensure!(
                    status.height >= height,
                    "height {}, view {}, {} peers, {} waiting, halted: '{}'",
                    status.height,
                    status.view,
                    status.peers,
                    status.mempool,
                    status.halted
                );
                Ok(status.height)
            },
        )
        .await
    }

    /// The value of a metric line that begins with this.
    ///
    /// # Errors
    /// If there is no such line.
    pub async fn metric(&self, line: &str) -> anyhow::Result<f64> {
        let answer = http::get(self.addresses.metrics, "/metrics").await?;
        ensure!(answer.status == 200, "metrics answer {}", answer.status);
        let text = String::from_utf8(answer.body)?;
        let found = text.lines().find(|l| l.starts_with(line));
        let value = found
            .and_then(|l| l.rsplit(' ').next())
            .and_then(|v| v.parse().ok());
        value.with_context(|| format!("no metric {line} in\n{text}"))
    }

    /// A number of its memory in MiB, by the name that the system has for it, with its colon.
    ///
    /// # Errors
    /// If it does not run or the system does not tell.
    pub fn memory_mib(&self, name: &str) -> anyhow::Result<f64> {
        let pid = self.pid().context("it does not run")?;
        let text = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        let kib = line
            .and_then(|line| line.split_whitespace().next())
            .and_then(|n| n.parse().ok());
        let kib: f64 = kib.with_context(|| format!("the system does not tell {name}"))?;
        Ok(kib / 1024.0)
    }

    /// All that it has written.
    pub fn log_text(&self) -> String {
        fs::read(&self.log).map_or_else(
            |_| String::new(),
            |bytes| String::from_utf8_lossy(&bytes).into_owned(),
        )
    }
}

fn is_port_in_use(error: &anyhow::Error) -> bool {
    format!("{error:#}")
        .to_lowercase()
        .contains("address already in use")
}

pub(super) fn text(path: &Path) -> anyhow::Result<&str> {
    path.to_str().context("a path that is no text")
}

/// Runs an operator's command that must succeed.
pub(super) async fn operate(arguments: &[&str]) -> anyhow::Result<()> {
    let output = run(arguments).await?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "certchain-node {arguments:?} failed: {errors}"
    );
    Ok(())
}

/// Runs the daemon's program with these arguments.
///
/// # Errors
/// If it cannot be run.
pub async fn run(arguments: &[&str]) -> anyhow::Result<Output> {
    let mut command = Command::new(binaries::find(binaries::NODE)?);
    command
        .args(arguments)
        .env_remove("RUST_LOG")
        .env("RUST_BACKTRACE", "1");
    Ok(tokio::task::spawn_blocking(move || command.output()).await??)
}
