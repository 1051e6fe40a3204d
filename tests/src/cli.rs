//! Single commands of `likeness`.

use std::ffi::OsStr;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::binaries;
use crate::service::Service;

/// Longer than any single command of the tests takes, also on a busy machine.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(600);

/// How a command ended.
#[derive(Debug, Clone)]
pub struct Ended {
    /// The exit code; `None` after a signal.
    pub code: Option<i32>,
    /// Its data.
    pub stdout: String,
    /// Its talk.
    pub stderr: String,
}

impl Ended {
    /// The data as JSON.
    ///
    /// # Panics
    /// With all that was said, where it is not.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("not JSON ({error}): {self:?}"))
    }

    /// Checks the exit code and that stderr has every one of `words`.
    ///
    /// # Panics
    /// With all that was said, where it is otherwise.
    pub fn expect(&self, code: i32, words: &[&str]) -> &Self {
        assert_eq!(self.code, Some(code), "{self:?}");
        for word in words {
            assert!(self.stderr.contains(word), "stderr lacks {word:?}: {self:?}");
        }
        assert!(!self.stderr.contains("panicked"), "{self:?}");
        self
    }
}

/// Runs `likeness` with these arguments to its end.
///
/// # Panics
/// Where it cannot be started or takes more than ten minutes.
pub fn likeness<A: AsRef<OsStr>>(arguments: &[A]) -> Ended {
    likeness_in(&[], arguments)
}

/// The same in an environment with these variables.
///
/// # Panics
/// As [`likeness`].
pub fn likeness_in<A: AsRef<OsStr>>(variables: &[(&str, &str)], arguments: &[A]) -> Ended {
    let mut command = command();
    command.args(arguments).envs(variables.iter().copied());
    let output = assert_cmd::Command::from_std(command)
        .timeout(COMMAND_TIMEOUT)
        .output()
        .expect("likeness can be started");
    Ended {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Starts `likeness` with these arguments and lets it run.
pub fn start<A: AsRef<OsStr>>(name: &str, arguments: &[A]) -> Service {
    Service::start(name, command().args(arguments))
}

/// `likeness` in an environment that says nothing to it.
fn command() -> Command {
    let mut command = Command::new(binaries::path("likeness"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("LIKENESS_") {
            command.env_remove(name);
        }
    }
    command
}
