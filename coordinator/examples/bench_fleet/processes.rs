//! The servers that are measured: processes on private ports, with private folders, gone with their owners.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};
use tempfile::TempDir;
use tokio::time::sleep;

/// For a server to answer.
const SOON: Duration = Duration::from_secs(20);

/// A redis-server with an append-only file.
pub(crate) struct Redis {
    _folder: TempDir,
    address: SocketAddr,
    process: Child,
}

impl Redis {
    /// `appendfsync` = `always` or `everysec`.
    pub(crate) async fn start(appendfsync: &str) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let port = address.port().to_string();
        let options = ["--bind", "127.0.0.1", "--port", &port, "--save", "", "--appendonly", "yes"];
        let process = Command::new("redis-server")
            .args(options)
            .args(["--appendfsync", appendfsync, "--dir"])
            .arg(folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("redis-server cannot be run: tests/run installs it")?;
        let redis = Self { _folder: folder, address, process };
        let started = Instant::now();
        while redis.client()?.get_multiplexed_async_connection().await.is_err() {
            if started.elapsed() > SOON {
                bail!("redis-server does not answer at {address}");
            }
            sleep(Duration::from_millis(20)).await;
        }
        Ok(redis)
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://{}/0", self.address)
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    pub(crate) fn client(&self) -> anyhow::Result<redis::Client> {
        Ok(redis::Client::open(self.url())?)
    }

    /// Memory for data, in bytes.
    pub(crate) async fn used_memory(&self) -> anyhow::Result<f64> {
        let mut connection = self.client()?.get_multiplexed_async_connection().await?;
        let facts: String = redis::cmd("INFO").arg("memory").query_async(&mut connection).await?;
        let used = facts.lines().find_map(|line| line.strip_prefix("used_memory:"));
        Ok(used.context("redis-server does not tell its memory")?.trim().parse()?)
    }

    /// Which commands took how long, for those who want to know where the time went.
    pub(crate) async fn tell_commands(&self) -> anyhow::Result<()> {
        if std::env::var_os("BENCH_FLEET_COMMANDS").is_some() {
            let mut connection = self.client()?.get_multiplexed_async_connection().await?;
            let facts: String = redis::cmd("INFO").arg("commandstats").query_async(&mut connection).await?;
            eprintln!("{facts}");
        }
        Ok(())
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// A coordinator as it is installed, with its defaults and its usual log (into a file).
pub(crate) struct CoordinatorProcess {
    _folder: TempDir,
    address: String,
    process: Child,
}

impl CoordinatorProcess {
    pub(crate) async fn start(program: &Path, redis: &Redis) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let log = folder.path().join("coordinator.log");
        let process = Command::new(program)
            .args(["--listen", "127.0.0.1:0", "--store", &redis.url(), "--data"])
            .arg(folder.path())
            .env("NO_COLOR", "1")
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(&log)?)
            .spawn()
            .with_context(|| format!("running {}", program.display()))?;
        let mut coordinator = Self { _folder: folder, address: String::new(), process };
        let started = Instant::now();
        while started.elapsed() < SOON {
            let text = std::fs::read_to_string(&log)?;
            if let Some((_, address)) = text.lines().find_map(|line| line.split_once("address=")) {
                coordinator.address = address.trim().to_owned();
                return Ok(coordinator);
            }
            sleep(Duration::from_millis(20)).await;
        }
        Err(anyhow!("the coordinator does not start: {}", std::fs::read_to_string(&log)?))
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Resident memory, in MiB.
    pub(crate) fn resident_mib(&self) -> anyhow::Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.trim().strip_suffix("kB"));
        Ok(kib.context("the system does not tell the coordinator's memory")?.trim().parse::<f64>()? / 1024.0)
    }
}

impl Drop for CoordinatorProcess {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
