//! Why a call gave no result, and how a transport's status becomes that.

use std::time::Duration;

use tonic::{Code, Request, Status};

use crate::errors::explain;

/// Why a call to the coordinator gave no result.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The address cannot be read.
    #[error("{address:?} is not the address of a coordinator ({reason}): write it as http://HOST:PORT")]
    Address {
        /// What was given.
        address: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Nobody answers there.
    #[error("cannot reach the coordinator at {address} ({reason}): is it running there?")]
    Unreachable {
        /// Where it should be.
        address: String,
        /// What the transport says.
        reason: String,
    },
    /// No answer in time.
    #[error("the coordinator at {address} did not answer within {} s", .after.as_secs_f64())]
    TimedOut {
        /// Where it is.
        address: String,
        /// How long we waited.
        after: Duration,
    },
    /// The coordinator refused or failed; the message holds its details.
    #[error("{}", explain(.0))]
    Refused(Box<Status>),
    /// The answer lacks something that the protocol promises.
    #[error("the coordinator's answer lacks {0}: are client and coordinator of the same version?")]
    Incomplete(&'static str),
}

impl ClientError {
    /// The gRPC code, where the coordinator answered with one.
    #[must_use]
    pub fn code(&self) -> Option<Code> {
        match self {
            Self::Refused(status) => Some(status.code()),
            _ => None,
        }
    }

    /// Whether the same call may succeed a moment later: nobody there, no answer in time, or `UNAVAILABLE`.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::TimedOut { .. } => true,
            Self::Refused(status) => matches!(status.code(), Code::Unavailable | Code::Aborted),
            Self::Address { .. } | Self::Incomplete(_) => false,
        }
    }
}

/// How statuses of one coordinator become [`ClientError`]s.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    pub(crate) address: String,
    pub(crate) request_timeout: Duration,
}

impl Peer {
    /// The error that `status` stands for.
    pub(crate) fn error(&self, status: Status) -> ClientError {
        let address = self.address.clone();
        if status.code() == Code::DeadlineExceeded || status.message() == "Timeout expired" {
            return ClientError::TimedOut { address, after: self.request_timeout };
        }
        let from_transport = std::error::Error::source(&status).is_some();
        if from_transport && !matches!(status.code(), Code::ResourceExhausted | Code::OutOfRange) {
            return ClientError::Unreachable { address, reason: innermost(&status) };
        }
        ClientError::Refused(Box::new(status))
    }

    /// A request with this peer's deadline.
    pub(crate) fn request<T>(&self, message: T) -> Request<T> {
        self.request_after(Duration::ZERO, message)
    }

    /// The same for a call that is answered only after `wait`.
    pub(crate) fn request_after<T>(&self, wait: Duration, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.set_timeout(wait.saturating_add(self.request_timeout));
        request
    }
}

pub(super) fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
