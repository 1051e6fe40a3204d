//! Downloads: to memory or to a file, never more than the limit, resumed where they broke off, and handed out only
//! when the digest agrees.

use std::path::{Path, PathBuf};

use bytes::{Bytes, BytesMut};
use tokio::fs::File;
use tokio::io::AsyncWriteExt;
use tokio::time::{Instant, timeout_at};

use super::{ATTEMPTS, Artifact, ArtifactError, ArtifactsClient, TRANSFER_TIMEOUT};
use crate::client::{ClientError, Lane};
use crate::ids::{Digest, DigestBuilder};
use crate::proto::download_response::Part;
use crate::proto::{DownloadHeader, DownloadRequest};

/// Where the bytes go.
enum Target {
    Memory(BytesMut),
    File { file: File, path: PathBuf },
}

impl Target {
    async fn write(&mut self, chunk: &[u8]) -> Result<(), ArtifactError> {
        match self {
            Self::Memory(buffer) => buffer.extend_from_slice(chunk),
            Self::File { file, path } => file
                .write_all(chunk)
                .await
                .map_err(|source| ArtifactError::File { action: "write", path: path.clone(), source })?,
        }
        Ok(())
    }
}

/// A download under way, over all its attempts.
struct Transfer {
    digest: Digest,
    limit: u64,
    target: Target,
    hash: DigestBuilder,
    received: u64,
    header: Option<DownloadHeader>,
}

impl ArtifactsClient {
    /// The artifact's bytes, at most `limit` of them.
    pub async fn download(&self, digest: Digest, limit: u64) -> Result<Artifact, ArtifactError> {
        let mut transfer = Transfer::new(digest, limit, Target::Memory(BytesMut::new()));
        let header = self.transfer(&mut transfer).await?;
        let bytes = match transfer.target {
            Target::Memory(buffer) => buffer.freeze(),
            Target::File { .. } => Bytes::new(),
        };
        Ok(Artifact { bytes, media_type: header.media_type })
    }

    /// Writes the artifact to `path`; the file appears whole or not at all. Gives its media type back.
    pub async fn download_to(
        &self,
        digest: Digest,
        path: &Path,
        limit: u64,
    ) -> Result<String, ArtifactError> {
        let mut partial_name = path.as_os_str().to_owned();
        partial_name.push(format!(".{}.partial", &digest.to_string()[..8]));
        let partial = PathBuf::from(partial_name);
        let failed = |action, path: &Path| {
            let path = path.to_owned();
            move |source| ArtifactError::File { action, path, source }
        };
        let file = File::create(&partial).await.map_err(failed("create", &partial))?;
        let mut transfer = Transfer::new(digest, limit, Target::File { file, path: partial.clone() });
        let result = async {
            let header = self.transfer(&mut transfer).await?;
            if let Target::File { file, .. } = &mut transfer.target {
                file.sync_all().await.map_err(failed("write", &partial))?;
            }
            tokio::fs::rename(&partial, path).await.map_err(failed("create", path))?;
            Ok(header.media_type)
        };
        let result = result.await;
        if result.is_err()
            && let Err(error) = tokio::fs::remove_file(&partial).await
        {
            tracing::warn!(path = %partial.display(), %error, "cannot remove an unfinished download");
        }
        result
    }

    async fn transfer(&self, transfer: &mut Transfer) -> Result<DownloadHeader, ArtifactError> {
        let mut backoff = Self::backoff();
        let mut attempt = 1;
        loop {
            let lane = self.servers.current();
            match transfer_once(lane, transfer).await {
                Ok(()) => return transfer.verified(),
                Err(error) if error.is_transient() && attempt < ATTEMPTS => {
                    tracing::debug!(%error, attempt, "download broke off and is taken up again");
                    self.before_another_try(lane, &mut backoff, attempt).await;
                    attempt += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }
}

/// Receives what is missing from one coordinator.
async fn transfer_once(lane: &Lane, transfer: &mut Transfer) -> Result<(), ArtifactError> {
    let deadline = Instant::now() + TRANSFER_TIMEOUT;
    let timed_out = |_| ClientError::TimedOut { address: lane.peer.address.clone(), after: TRANSFER_TIMEOUT };
    let request = DownloadRequest { digest: transfer.digest.to_string(), offset: transfer.received };
    let mut client = lane.artifacts();
    let opened = timeout_at(deadline, client.download(request)).await.map_err(timed_out)?;
    let mut stream = lane.answer(opened)?;
    loop {
        let message = timeout_at(deadline, stream.message()).await.map_err(timed_out)?;
        match message.map_err(|status| lane.peer.error(status))?.map(|message| message.part) {
            None => return Ok(()),
            Some(Some(Part::Header(header))) => transfer.begin(header)?,
            Some(Some(Part::Chunk(chunk))) => transfer.append(&chunk).await?,
            Some(None) => return Err(ClientError::Incomplete("a part of the download").into()),
        }
    }
}

impl Transfer {
    fn new(digest: Digest, limit: u64, target: Target) -> Self {
        Self { digest, limit, target, hash: DigestBuilder::default(), received: 0, header: None }
    }

    fn damaged(&self, reason: String) -> ArtifactError {
        ArtifactError::Damaged { digest: self.digest, reason }
    }

    fn begin(&mut self, header: DownloadHeader) -> Result<(), ArtifactError> {
        if header.size_bytes > self.limit {
            let what = format!("artifact {}", self.digest);
            return Err(ArtifactError::TooLarge { what, size: header.size_bytes, limit: self.limit });
        }
        self.header = Some(header);
        Ok(())
    }

    async fn append(&mut self, chunk: &[u8]) -> Result<(), ArtifactError> {
        let Some(announced) = self.header.as_ref().map(|header| header.size_bytes) else {
            return Err(ClientError::Incomplete("the header of the download").into());
        };
        let received = self.received.saturating_add(chunk.len() as u64);
        if received > announced {
            return Err(self.damaged(format!("more than the {announced} bytes announced")));
        }
        self.target.write(chunk).await?;
        self.hash.update(chunk);
        self.received = received;
        Ok(())
    }

    fn verified(&self) -> Result<DownloadHeader, ArtifactError> {
        let header = self.header.clone().ok_or(ClientError::Incomplete("the header of the download"))?;
        if self.received != header.size_bytes {
            return Err(self.damaged(format!("{} of {} bytes", self.received, header.size_bytes)));
        }
        let found = self.hash.clone().finish();
        if found != self.digest {
            return Err(self.damaged(format!("its digest is {found}")));
        }
        Ok(header)
    }
}
