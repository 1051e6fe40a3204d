//! Uploads: ask how much has arrived, send the rest, and again where the connection broke.

use std::path::Path;

use bytes::Bytes;
use futures::stream;
use tokio::time::timeout;

use super::{ATTEMPTS, ArtifactError, ArtifactsClient, TRANSFER_TIMEOUT};
use crate::client::{ClientError, Lane};
use crate::ids::Digest;
use crate::limits::{CHUNK_BYTES, MAX_ARTIFACT_BYTES};
use crate::proto::upload_request::Part;
use crate::proto::{GetUploadRequest, UploadHeader, UploadRequest};

impl ArtifactsClient {
    /// Uploads `bytes`, unless they are there already. Repeatable.
    pub async fn upload(&self, bytes: impl Into<Bytes>, media_type: &str) -> Result<Digest, ArtifactError> {
        let bytes = bytes.into();
        if bytes.is_empty() {
            return Err(ArtifactError::Empty { what: "the upload".to_owned() });
        }
        check_size("the upload", bytes.len() as u64)?;
        let digest = Digest::of(&bytes);
        let mut backoff = Self::backoff();
        let mut attempt = 1;
        loop {
            let lane = self.servers.current();
            match upload_once(lane, digest, &bytes, media_type).await {
                Ok(()) => return Ok(digest),
                Err(error) if error.is_transient() && attempt < ATTEMPTS => {
                    tracing::debug!(%error, attempt, "upload broke off and is taken up again");
                    self.before_another_try(lane, &mut backoff, attempt).await;
                    attempt += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Uploads a file of at most 32 MiB.
    pub async fn upload_file(&self, path: &Path, media_type: &str) -> Result<Digest, ArtifactError> {
        let failed = |source| ArtifactError::File { action: "read", path: path.to_owned(), source };
        let size = tokio::fs::metadata(path).await.map_err(failed)?.len();
        check_size(&path.display().to_string(), size)?;
        if size == 0 {
            return Err(ArtifactError::Empty { what: path.display().to_string() });
        }
        let bytes = tokio::fs::read(path).await.map_err(failed)?;
        self.upload(bytes, media_type).await
    }
}

/// Asks one coordinator how much has arrived, and sends it the rest.
async fn upload_once(
    lane: &Lane,
    digest: Digest,
    bytes: &Bytes,
    media_type: &str,
) -> Result<(), ArtifactError> {
    let asked = lane.peer.request(GetUploadRequest { digest: digest.to_string() });
    let known = lane.answer(lane.artifacts().get_upload(asked).await)?;
    if known.complete {
        return Ok(());
    }
    let offset = known.received_bytes.min(bytes.len() as u64);
    let header = UploadHeader {
        digest: digest.to_string(),
        size_bytes: bytes.len() as u64,
        media_type: media_type.to_owned(),
        offset,
    };
    let rest = bytes.slice(usize::try_from(offset).unwrap_or(bytes.len())..);
    let parts = std::iter::once(Part::Header(header)).chain(chunks(rest).map(Part::Chunk));
    let messages = stream::iter(parts.map(|part| UploadRequest { part: Some(part) }));
    let mut client = lane.artifacts();
    let sent = timeout(TRANSFER_TIMEOUT, client.upload(messages)).await;
    let answer = sent
        .map_err(|_| ClientError::TimedOut { address: lane.peer.address.clone(), after: TRANSFER_TIMEOUT })?;
    let answer = lane.answer(answer)?;
    if answer.digest != digest.to_string() {
        let reason = format!("the coordinator says that it has received {}", answer.digest);
        return Err(ArtifactError::Damaged { digest, reason });
    }
    Ok(())
}

fn check_size(what: &str, size: u64) -> Result<(), ArtifactError> {
    if size > MAX_ARTIFACT_BYTES {
        return Err(ArtifactError::TooLarge { what: what.to_owned(), size, limit: MAX_ARTIFACT_BYTES });
    }
    Ok(())
}

fn chunks(mut rest: Bytes) -> impl Iterator<Item = Bytes> + Send {
    std::iter::from_fn(move || (!rest.is_empty()).then(|| rest.split_to(CHUNK_BYTES.min(rest.len()))))
}
