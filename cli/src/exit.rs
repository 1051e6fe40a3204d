//! Exit codes and the errors that carry them. The codes are documented in `docs/cli.md` and in `--help`.

use std::process::ExitCode;

use likeness_shared::artifacts::ArtifactError;
use likeness_shared::client::ClientError;
use tonic::Code;

/// How the program ended, for scripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done.
    Ok = 0,
    /// Something went wrong; the message on stderr says what and where.
    Failed = 1,
    /// The command line makes no sense (clap uses the same code).
    Usage = 2,
    /// The server could not be reached.
    Unreachable = 3,
    /// No such task, person, worker or artifact.
    NotFound = 4,
    /// The task that was waited for failed, expired or was cancelled.
    TaskFailed = 5,
    /// Ctrl-C or SIGTERM.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}

/// An error with the code to leave with.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct CliError {
    exit: Exit,
    message: String,
}

impl CliError {
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into() }
    }
}

/// The code for an error: its own where it has one, otherwise what the gRPC status in its chain means.
pub(crate) fn exit_of(error: &anyhow::Error) -> Exit {
    for cause in error.chain() {
        if let Some(own) = cause.downcast_ref::<CliError>() {
            return own.exit;
        }
        if let Some(ArtifactError::Client(error)) = cause.downcast_ref() {
            return exit_of_client(error);
        }
        if let Some(error) = cause.downcast_ref::<ClientError>() {
            return exit_of_client(error);
        }
    }
    Exit::Failed
}

fn exit_of_client(error: &ClientError) -> Exit {
    match error {
        ClientError::Unreachable { .. } | ClientError::TimedOut { .. } => Exit::Unreachable,
        ClientError::Address { .. } => Exit::Usage,
        _ => match error.code() {
            Some(Code::Unavailable) => Exit::Unreachable,
            Some(Code::NotFound) => Exit::NotFound,
            _ => Exit::Failed,
        },
    }
}

/// True where the reader of our output has gone, as in `likeness task ls | head -1`: not an error.
pub(crate) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause
            .downcast_ref::<std::io::Error>()
            .is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
    })
}

/// The error for people: what was tried, then why it failed, without saying anything twice.
pub(crate) fn sentence(error: &anyhow::Error) -> String {
    let mut parts: Vec<String> = Vec::new();
    for cause in error.chain() {
        let text = cause.to_string();
        // Many errors repeat their source in their own text.
        if !text.is_empty() && !parts.iter().any(|said| said.contains(&text)) {
            parts.push(text);
        }
    }
    parts.join(": ")
}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::*;

    #[test]
    fn codes_come_from_the_first_error_that_knows() {
        let refused = |status| ClientError::Refused(Box::new(status));
        let unreachable = anyhow::Error::from(refused(tonic::Status::unavailable("the store is away")));
        assert_eq!(exit_of(&unreachable), Exit::Unreachable);
        let missing = ArtifactError::Client(refused(tonic::Status::not_found("there is no artifact 7")));
        let missing = Err::<(), _>(missing).context("downloading 7").unwrap_err();
        assert_eq!(exit_of(&missing), Exit::NotFound);
        assert_eq!(sentence(&missing), "downloading 7: there is no artifact 7");
        let own = anyhow::Error::from(CliError::new(Exit::TaskFailed, "the task failed")).context("waiting");
        assert_eq!(exit_of(&own), Exit::TaskFailed);
        assert_eq!(exit_of(&anyhow::anyhow!("other")), Exit::Failed);
    }

    #[test]
    fn a_repeated_cause_is_said_once() {
        let inner = std::io::Error::other("disk on fire");
        let error = anyhow::Error::from(inner).context("writing a.png: disk on fire");
        assert_eq!(sentence(&error), "writing a.png: disk on fire");
    }
}
