//! Artifacts by digest, from the client's side: uploads that go on where they broke off, downloads that are checked
//! against their digest before anyone sees them.

mod download;
mod upload;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::sleep;

use crate::backoff::Backoff;
use crate::client::{ClientError, Lane, Servers};
use crate::ids::{Digest, TaskId};

/// How often a broken transfer is taken up again before its error is given back.
const ATTEMPTS: u32 = 5;
/// For one attempt at a whole transfer.
const TRANSFER_TIMEOUT: Duration = Duration::from_secs(120);

/// Why a transfer failed.
#[derive(Debug, thiserror::Error)]
pub enum ArtifactError {
    /// The coordinator could not be asked, or refused.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// A file here could not be read or written.
    #[error("cannot {action} {}: {source}", .path.display())]
    File {
        /// What was tried, such as "read".
        action: &'static str,
        /// Which file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// Larger than the limit.
    #[error("{what} has {size} bytes, more than the {limit} allowed")]
    TooLarge {
        /// Which bytes.
        what: String,
        /// How many there are.
        size: u64,
        /// How many may be.
        limit: u64,
    },
    /// Nothing to upload.
    #[error("{what} is empty")]
    Empty {
        /// Which bytes.
        what: String,
    },
    /// What arrived is not what was asked for.
    #[error("artifact {digest} arrived damaged: {reason}")]
    Damaged {
        /// What was asked for.
        digest: Digest,
        /// What is wrong.
        reason: String,
    },
}

impl ArtifactError {
    fn is_transient(&self) -> bool {
        matches!(self, Self::Client(error) if error.is_transient())
    }
}

/// Bytes that were downloaded and agree with their digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artifact {
    /// The bytes.
    pub bytes: Bytes,
    /// Such as `image/png`, as the uploader said.
    pub media_type: String,
}

/// Uploads and downloads. Clones share one connection to each coordinator, and none with other calls.
#[derive(Debug, Clone)]
pub struct ArtifactsClient {
    servers: Arc<Servers>,
}

impl ArtifactsClient {
    pub(crate) fn new(servers: Arc<Servers>) -> Self {
        Self { servers }
    }

    /// After a broken transfer: another coordinator is asked where there is one, without a pause.
    async fn before_another_try(&self, lane: &Lane, backoff: &mut Backoff, attempt: u32) {
        self.servers.move_on(lane);
        if (attempt as usize).is_multiple_of(self.servers.count()) {
            sleep(backoff.next_pause()).await;
        }
    }

    fn backoff() -> Backoff {
        Backoff::new(Duration::from_millis(100), Duration::from_secs(2), &TaskId::generate().to_string())
    }
}
