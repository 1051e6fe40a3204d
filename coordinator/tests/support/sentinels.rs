//! Sentinels of a test's own, over the servers of a test's own.

#![allow(dead_code)] // not every test uses everything
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a helper that fails fails its test

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::redis_server::RedisServer;

/// For the sentinels to know each other.
const SOON: Duration = Duration::from_secs(30);
/// The name under which they know the primary.
pub(crate) const SERVICE: &str = "main";

/// Some sentinels that watch one primary and, through it, its replicas.
pub(crate) struct Sentinels {
    all: Vec<Sentinel>,
}

struct Sentinel {
    _folder: TempDir,
    address: SocketAddr,
    process: Child,
}

impl Sentinels {
    /// Three that know each other and the replicas that the primary has.
    pub(crate) fn over(primary: &RedisServer, password: Option<&str>) -> Self {
        let all: Vec<Sentinel> = (0..3).map(|_| Sentinel::start(primary, password)).collect();
        let (started, sentinels) = (Instant::now(), Self { all });
        let ready = ["num-other-sentinels\r\n$1\r\n2", "num-slaves\r\n$1\r\n", "flags\r\n$6\r\nmaster"];
        for sentinel in &sentinels.all {
            while password.is_none() {
                let facts = ask(sentinel.address, "SENTINEL MASTER main").unwrap();
                if ready.iter().all(|fact| facts.contains(fact)) && !facts.contains("num-slaves\r\n$1\r\n0") {
                    break;
                }
                assert!(started.elapsed() < SOON, "the sentinels do not find each other: {facts}");
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        sentinels
    }

    /// The store's address, by way of these.
    pub(crate) fn url(&self) -> String {
        let hosts: Vec<String> = self.all.iter().map(|sentinel| sentinel.address.to_string()).collect();
        format!("redis+sentinel://{}/{SERVICE}/0", hosts.join(","))
    }

    /// SIGKILL for the first one.
    pub(crate) fn kill_one(&mut self) {
        let process = &mut self.all[0].process;
        process.kill().unwrap();
        process.wait().unwrap();
    }
}

impl Sentinel {
    fn start(primary: &RedisServer, password: Option<&str>) -> Self {
        for _ in 0..20 {
            let folder = tempfile::tempdir().unwrap();
            let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
            let file = folder.path().join("sentinel.conf");
            let mut config = format!(
                "bind 127.0.0.1\nport {}\ndir {}\nlogfile {}\nsentinel monitor {SERVICE} 127.0.0.1 {} 2\n\
                 sentinel down-after-milliseconds {SERVICE} 700\nsentinel failover-timeout {SERVICE} 3000\n",
                address.port(),
                folder.path().display(),
                folder.path().join("sentinel.log").display(),
                primary.port(),
            );
            if let Some(password) = password {
                config.push_str(&format!("requirepass {password}\n"));
            }
            std::fs::write(&file, config).unwrap();
            let mut started = Command::new("redis-server");
            started.arg(&file).arg("--sentinel").stdin(Stdio::null()).stdout(Stdio::null());
            let mut process = started.stderr(Stdio::null()).spawn().unwrap();
            if comes_up(address, &mut process) {
                return Self { _folder: folder, address, process };
            }
            drop(process.kill());
            process.wait().unwrap();
        }
        panic!("a sentinel does not start");
    }
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// Whether the sentinel comes to answer; false where its process ended.
fn comes_up(address: SocketAddr, process: &mut Child) -> bool {
    let started = Instant::now();
    while started.elapsed() < SOON {
        if ask(address, "PING")
            .is_ok_and(|answer| answer.starts_with("+PONG") || answer.starts_with("-NOAUTH"))
        {
            return true;
        }
        if process.try_wait().unwrap().is_some() {
            return false;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    false
}

/// Sends one line and gives back the raw answer. A sentinel knows no QUIT: the end of what it is sent ends it.
fn ask(address: SocketAddr, line: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(SOON))?;
    stream.write_all(format!("{line}\r\n").as_bytes())?;
    stream.shutdown(Shutdown::Write)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}
