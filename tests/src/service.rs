//! A process that runs beside the test: everything it says is kept, waits are for what it says, and it dies with
//! the test.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A running process.
#[derive(Debug)]
pub struct Service {
    name: String,
    child: Child,
    log: Arc<Log>,
}

#[derive(Debug, Default)]
struct Log {
    said: Mutex<Said>,
    more: Condvar,
}

#[derive(Debug, Default)]
struct Said {
    lines: Vec<String>,
    open_ends: usize,
}

impl Log {
    fn said(&self) -> MutexGuard<'_, Said> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut Said)) {
        change(&mut self.said());
        self.more.notify_all();
    }

    fn read(self: &Arc<Self>, end: impl Read + Send + 'static) {
        let log = Arc::clone(self);
        log.said().open_ends += 1;
        thread::spawn(move || {
            for line in BufReader::new(end).lines().map_while(Result::ok) {
                log.change(|said| said.lines.push(line));
            }
            log.change(|said| said.open_ends -= 1);
        });
    }
}

impl Service {
    /// Starts the command and reads along on stdout and stderr.
    ///
    /// # Panics
    /// Where it cannot be started.
    #[must_use]
    pub fn start(name: &str, command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{name} does not start: {error}"));
        let log = Arc::new(Log::default());
        if let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) {
            log.read(stdout);
            log.read(stderr);
        }
        Self { name: name.to_owned(), child, log }
    }

    /// Waits until some line, said before or yet to come, is what is looked for.
    ///
    /// # Panics
    /// With everything it said, where it ends or the time runs out first.
    pub fn wait_for<T>(&self, what: &str, within: Duration, find: impl Fn(&str) -> Option<T>) -> T {
        let deadline = Instant::now() + within;
        let mut said = self.log.said();
        let mut seen = 0;
        loop {
            if let Some(found) = said.lines.get(seen..).unwrap_or_default().iter().find_map(|line| find(line))
            {
                return found;
            }
            seen = said.lines.len();
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || said.open_ends == 0 {
                let lines = said.lines.join("\n");
                drop(said);
                panic!("{} did not say {what} within {within:?}; it said:\n{lines}", self.name);
            }
            said = self.log.more.wait_timeout(said, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Everything it has said.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.log.said().lines.clone()
    }

    /// Sends a signal.
    ///
    /// # Panics
    /// Where the process has gone.
    pub fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.child.id()).expect("process ids fit");
        kill(Pid::from_raw(id), signal)
            .unwrap_or_else(|error| panic!("{} cannot be signalled: {error}", self.name));
    }

    /// Kills it with no warning, as a power cut would, and waits until it has gone.
    pub fn kill(mut self) {
        self.signal(Signal::SIGKILL);
        self.exit(Duration::from_secs(10));
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// With everything it said, where it does not end in time.
    pub fn exit(&mut self, within: Duration) -> ExitStatus {
        let deadline = Instant::now() + within;
        let mut said = self.log.said();
        while said.open_ends > 0 {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let lines = said.lines.join("\n");
                drop(said);
                panic!("{} did not end within {within:?}; it said:\n{lines}", self.name);
            }
            said = self.log.more.wait_timeout(said, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        drop(said);
        self.child.wait().expect("a child can be waited for")
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            let lines = self.lines();
            let shown = lines.len().saturating_sub(40);
            let tail = lines.get(shown..).unwrap_or_default().join("\n  ");
            let _ = std::io::Write::write_all(
                &mut std::io::stderr(),
                format!("--- {} said last:\n  {tail}\n", self.name).as_bytes(),
            );
        }
    }
}
