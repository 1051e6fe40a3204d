//! A Redis of a test's own: on a private port, in a private folder, gone with its owner.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

/// For the server to answer, or to be gone.
const SOON: Duration = Duration::from_secs(20);

/// A server that keeps what it is told, killed and started as often as a test likes.
#[derive(Debug)]
pub struct Redis {
    folder: TempDir,
    address: SocketAddr,
    process: Child,
}

impl Redis {
    /// Starts one.
    ///
    /// # Panics
    /// Where it does not start.
    #[must_use]
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        // another process may take the free port first: then the next one
        for _ in 0..20 {
            let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
            let address = free.expect("a free port");
            let mut process = spawn(&folder, address);
            if answers(address, &mut process) {
                return Self { folder, address, process };
            }
            let _ = process.wait();
        }
        panic!("redis-server does not start: see {}", folder.path().display());
    }

    /// As coordinators are told.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://{}/0", self.address)
    }

    /// `127.0.0.1:PORT`.
    #[must_use]
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// SIGKILL, as a power cut for the process.
    ///
    /// # Panics
    /// Where it has gone already.
    pub fn kill(&mut self) {
        self.process.kill().expect("redis-server can be killed");
        self.process.wait().expect("redis-server can be waited for");
    }

    /// Starts anew over the same folder, at the same address; returns when it answers.
    ///
    /// # Panics
    /// Where it does not start.
    pub fn restart(&mut self) {
        let started = Instant::now();
        loop {
            self.process = spawn(&self.folder, self.address);
            if answers(self.address, &mut self.process) {
                return;
            }
            let _ = self.process.wait();
            assert!(started.elapsed() < SOON, "redis-server does not start again");
        }
    }

    /// Stops the process as it stands, with its connections open.
    pub fn pause(&self) {
        self.signal(Signal::SIGSTOP);
    }

    /// Lets it go on.
    pub fn resume(&self) {
        self.signal(Signal::SIGCONT);
    }

    fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.process.id()).expect("process ids fit");
        kill(Pid::from_raw(id), signal).expect("redis-server can be signalled");
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn spawn(folder: &TempDir, address: SocketAddr) -> Child {
    let spawned = Command::new("redis-server")
        .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "yes", "--appendfsync", "always"])
        .args(["--port", &address.port().to_string(), "--dir"])
        .arg(folder.path())
        .arg("--logfile")
        .arg(folder.path().join("redis.log"))
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
        if ping(address).is_ok_and(|answer| answer.starts_with("+PONG")) {
            return true;
        }
        if !matches!(process.try_wait(), Ok(None)) {
            return false;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    false
}

fn ping(address: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(SOON))?;
    // the server closes the connection after the second command, which ends the answer
    stream.write_all(b"*1\r\n$4\r\nPING\r\n*1\r\n$4\r\nQUIT\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}
