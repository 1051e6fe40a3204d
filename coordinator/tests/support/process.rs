//! The real program as a process.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Instant;

use super::SOON;

/// A coordinator process; killed when the test ends.
pub(crate) struct Process {
    pub(crate) child: Child,
    pub(crate) address: String,
}

/// The program with its data in a folder.
pub(crate) fn command(data: &Path, listen: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_likeness-coordinator"));
    command.args(["--listen", listen, "--data"]).arg(data).env("LIKENESS_LOG", "info").env("NO_COLOR", "1");
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

impl Process {
    pub(crate) fn start(data: &Path, listen: &str) -> Self {
        Self::run(command(data, listen))
    }

    pub(crate) fn run(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let address = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| line.split_once("address=").map(|(_, address)| address.trim().to_owned()))
            .expect("the coordinator says where it listens");
        // whoever fills a pipe that nobody reads stands still
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, address }
    }

    pub(crate) fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + SOON;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "the coordinator did not end");
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
