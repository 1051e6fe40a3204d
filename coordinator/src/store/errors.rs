//! What a store answers instead of a result, and how services pass it on.

use std::path::PathBuf;
use std::time::Duration;

use likeness_shared::errors::ServiceError;

use super::transition::Refusal;

/// Why a store operation gave no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// There is no such thing.
    #[error("there is no {kind} {id}")]
    NotFound {
        /// "task", "person" or "worker".
        kind: &'static str,
        /// Its id or name.
        id: String,
    },
    /// The request id was used for something else.
    #[error("request id {request:?} was used with another body in the last 24 h: use a fresh one")]
    RequestReused {
        /// The id.
        request: String,
    },
    /// The owner has a person of that name.
    #[error("there is a person named {name:?} already: delete it or choose another name")]
    NameTaken {
        /// The name.
        name: String,
    },
    /// As much waits as may.
    #[error(
        "{party} has {limit} tasks waiting, which is as many as it may (fairness.{quota}): wait until some have run, \
         or cancel some"
    )]
    QuotaUsedUp {
        /// The option that sets the limit.
        quota: &'static str,
        /// The tenant, or the owner.
        party: String,
        /// How many may wait.
        limit: u64,
    },
    /// The state machine refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// No room on the disk.
    #[error("the disk of the task store is full: free some space; nothing was changed")]
    DiskFull,
    /// No room in the server's memory.
    #[error(
        "the memory of the task store is full: raise Redis' maxmemory, or keep ended tasks for a shorter time; nothing was changed"
    )]
    MemoryFull,
    /// The server's memory is filled up to the share that new work may fill.
    #[error(
        "the task store has filled {percent} % of Redis' maxmemory, and nothing new is taken from {most} % on: wait until tasks have ended, raise maxmemory, or keep ended tasks for a shorter time; nothing was changed"
    )]
    MemoryShort {
        /// What is used.
        percent: u32,
        /// What may be.
        most: u32,
    },
    /// Cannot be reached or used at the moment.
    #[error("the task store cannot be used at the moment: {reason}")]
    Unavailable {
        /// Why.
        reason: String,
    },
    /// What is stored cannot be read.
    #[error("the task store is damaged: {reason}")]
    Damaged {
        /// What cannot be read.
        reason: String,
    },
    /// The server cannot be trusted with tasks.
    #[error("the Redis at {address} cannot keep tasks: {reason}")]
    Unsuitable {
        /// Where.
        address: String,
        /// Why, and what to do.
        reason: String,
    },
    /// Another process has the file open.
    #[error("{} is in use by another coordinator: stop that one, or give this one its own data folder", .path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// Written by a later version.
    #[error(
        "{} was written in format {found}, and this version knows formats up to {known}: run the newer version, or \
         choose another data folder", .path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u64,
        /// Ours.
        known: u64,
    },
    /// Written by an earlier version.
    #[error(
        "{} was written in format {found}, which this version does not read (it writes format {known}): run the version \
         that wrote it, or choose another data folder", .path.display()
    )]
    Older {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u64,
        /// Ours.
        known: u64,
    },
    /// The file or its folder cannot be opened.
    #[error("cannot open the task store {}: {reason}", .path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

impl StoreError {
    /// Whether the storage itself failed: then the whole transaction is given up.
    #[must_use]
    pub fn is_fault(&self) -> bool {
        !matches!(
            self,
            Self::NotFound { .. }
                | Self::RequestReused { .. }
                | Self::NameTaken { .. }
                | Self::QuotaUsedUp { .. }
                | Self::Refused(_)
        )
    }
}

impl From<StoreError> for ServiceError {
    fn from(error: StoreError) -> Self {
        let message = error.to_string();
        match error {
            StoreError::NotFound { kind, id } => Self::NotFound { kind, id },
            StoreError::RequestReused { .. } => Self::AlreadyExists { reason: "REQUEST_ID_REUSED", message },
            StoreError::NameTaken { .. } => Self::AlreadyExists { reason: "PERSON_NAME_TAKEN", message },
            StoreError::QuotaUsedUp { quota, .. } => {
                Self::ResourceExhausted { subject: quota, message, retry_after: Some(Duration::from_secs(5)) }
            }
            StoreError::Refused(Refusal::OutcomeMismatch) => Self::invalid("outcome", message),
            StoreError::Refused(_) => Self::unmet("TASK_STATE", "task", message),
            StoreError::DiskFull => Self::ResourceExhausted {
                subject: "disk",
                message,
                retry_after: Some(Duration::from_secs(30)),
            },
            StoreError::MemoryFull | StoreError::MemoryShort { .. } => Self::ResourceExhausted {
                subject: "memory",
                message,
                retry_after: Some(Duration::from_secs(30)),
            },
            StoreError::Unavailable { .. } => {
                Self::Unavailable { message, retry_after: Duration::from_secs(1) }
            }
            StoreError::Damaged { .. } => Self::DataLoss { message },
            StoreError::InUse { .. }
            | StoreError::Newer { .. }
            | StoreError::Older { .. }
            | StoreError::Open { .. }
            | StoreError::Unsuitable { .. } => Self::Internal { message },
        }
    }
}
