//! A Redis of a test's own: on a private port, in a private folder, gone with its owner.

#![allow(dead_code)] // not every test uses everything
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a helper that fails fails its test

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

/// For the server to answer, or to be gone.
const SOON: Duration = Duration::from_secs(20);

/// A running server, with the folder of its append-only file.
pub(crate) struct RedisServer {
    folder: TempDir,
    address: SocketAddr,
    options: Vec<String>,
    process: Child,
}

impl RedisServer {
    /// A server that keeps what it is told.
    pub(crate) fn start() -> Self {
        Self::start_with(&["--appendonly", "yes", "--appendfsync", "always"])
    }

    /// A server that has all that the other one has, and follows it.
    pub(crate) fn replica_of(primary: &RedisServer) -> Self {
        let replica = Self::start();
        replica.follow(primary);
        primary.await_replication("state=online");
        replica
    }

    /// Becomes a replica.
    pub(crate) fn follow(&self, primary: &RedisServer) {
        self.command(&["REPLICAOF", "127.0.0.1", &primary.port().to_string()]);
        self.await_replication("master_link_status:up");
    }

    /// Becomes a primary, with what it has.
    pub(crate) fn promote(&self) {
        self.command(&["REPLICAOF", "NO", "ONE"]);
    }

    pub(crate) fn start_with(options: &[&str]) -> Self {
        let options: Vec<String> = options.iter().map(ToString::to_string).collect();
        let folder = tempfile::tempdir().unwrap();
        // another process may take the free port first: then the next one
        for _ in 0..20 {
            let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
            let mut process = spawn(&folder, address, &options);
            if answers(address, &mut process) {
                return Self { folder, address, options, process };
            }
            drop(process.kill());
            process.wait().unwrap();
        }
        panic!("redis-server does not start: see {}", folder.path().display());
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://{}/0", self.address)
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// SIGKILL, as a power cut for the process.
    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Stops the process as it stands, with its connections open.
    pub(crate) fn pause(&self) {
        kill(self.pid(), Signal::SIGSTOP).unwrap();
    }

    /// Lets it go on.
    pub(crate) fn resume(&self) {
        kill(self.pid(), Signal::SIGCONT).unwrap();
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.process.id().try_into().unwrap())
    }

    /// Starts anew over the same folder, at the same address.
    pub(crate) fn restart(&mut self) {
        let started = Instant::now();
        loop {
            self.process = spawn(&self.folder, self.address, &self.options);
            if answers(self.address, &mut self.process) {
                return;
            }
            self.process.wait().unwrap();
            assert!(started.elapsed() < SOON, "redis-server does not start again");
        }
    }

    /// Waits until the append-only file has everything: with `everysec` a write may come up to two seconds after its
    /// answer.
    pub(crate) fn await_log(&self) {
        let started = Instant::now();
        let written = ["aof_buffer_length:0\r", "aof_pending_bio_fsync:0\r"];
        loop {
            let facts = self.command(&["INFO", "persistence"]);
            if written.iter().all(|fact| facts.contains(fact)) {
                return;
            }
            assert!(started.elapsed() < SOON, "the append-only file is never written: {facts}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Sends one command and gives back the raw answer.
    pub(crate) fn command(&self, words: &[&str]) -> String {
        command(self.address, words).unwrap()
    }

    /// Waits until `INFO replication` of this server says so.
    pub(crate) fn await_replication(&self, wanted: &str) {
        let started = Instant::now();
        while !self.command(&["INFO", "replication"]).contains(wanted) {
            assert!(started.elapsed() < SOON, "replication never says {wanted}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits until this replica has everything that the primary has written so far.
    pub(crate) fn catch_up_with(&self, primary: &RedisServer) {
        let (started, wanted) = (Instant::now(), primary.offset());
        while self.offset() < wanted {
            assert!(started.elapsed() < SOON, "the replica does not catch up");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Bytes of replication that this server has written, or taken over from its primary.
    fn offset(&self) -> u64 {
        let facts = self.command(&["INFO", "replication"]);
        let offset = facts.lines().find_map(|line| line.strip_prefix("master_repl_offset:"));
        offset.unwrap().trim().parse().unwrap()
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

fn spawn(folder: &TempDir, address: SocketAddr, options: &[String]) -> Child {
    let log = folder.path().join("redis.log");
    let spawned = Command::new("redis-server")
        .args([
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--repl-diskless-sync-delay",
            "0",
            "--port",
            &address.port().to_string(),
            "--dir",
        ])
        .arg(folder.path())
        .arg("--logfile")
        .arg(&log)
        .args(options)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    spawned.unwrap_or_else(|error| panic!("redis-server cannot be run ({error}): tests/run installs it"))
}

/// Whether the server comes to answer; false where its process ended.
fn answers(address: SocketAddr, process: &mut Child) -> bool {
    let started = Instant::now();
    while started.elapsed() < SOON {
        if command(address, &["PING"]).is_ok_and(|answer| answer.starts_with("+PONG")) {
            return true;
        }
        if process.try_wait().unwrap().is_some() {
            return false;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    false
}

fn command(address: SocketAddr, words: &[&str]) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(SOON))?;
    let mut request = format!("*{}\r\n", words.len());
    for word in words {
        request.push_str(&format!("${}\r\n{word}\r\n", word.len()));
    }
    // the server closes the connection after this, which ends the answer
    request.push_str("*1\r\n$4\r\nQUIT\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}
