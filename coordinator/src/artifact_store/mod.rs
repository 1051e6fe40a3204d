//! Artifacts by digest: staged in a folder of their own while they arrive, checked, then put into the object store
//! whole. What can be seen has the digest that it is named by.
//!
//! The object store is a local folder; its interface is `object_store`'s, so that others fit as well.

mod staging;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use likeness_shared::errors::ServiceError;
use likeness_shared::ids::Digest;
use object_store::local::LocalFileSystem;
use object_store::path::Path as ObjectPath;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};
use tokio::sync::Semaphore;

use crate::config::UploadConfig;
use staging::Staging;
pub(crate) use staging::Upload;

/// Uploads that are checked and put at one time; each takes its size in memory.
const PUT_AT_ONCE: usize = 4;
/// What is answered where the media type was lost.
const UNKNOWN_MEDIA_TYPE: &str = "application/octet-stream";

/// Why the folder cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot use the artifact folder {}: {reason}", .path.display())]
pub struct FolderError {
    path: PathBuf,
    reason: String,
}

/// How far an upload is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UploadStatus {
    Complete,
    Received(u64),
}

/// A stored artifact, without its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ArtifactInfo {
    pub(crate) size: u64,
    pub(crate) media_type: String,
}

/// The stored artifacts and the uploads under way.
#[derive(Debug)]
pub(crate) struct ArtifactStore {
    objects: Arc<dyn ObjectStore>,
    staging: Staging,
    putting: Semaphore,
    max_bytes: u64,
}

impl ArtifactStore {
    /// Opens or makes the folder.
    pub(crate) fn open(folder: &Path, config: &UploadConfig) -> Result<Self, FolderError> {
        let refuse = |reason: String| FolderError { path: folder.to_owned(), reason };
        let objects_folder = folder.join("objects");
        let staging_folder = folder.join("staging");
        for part in [&objects_folder, &staging_folder] {
            std::fs::create_dir_all(part).map_err(|error| refuse(error.to_string()))?;
        }
        let objects =
            LocalFileSystem::new_with_prefix(&objects_folder).map_err(|error| refuse(error.to_string()))?;
        Ok(Self::over(Arc::new(objects.with_fsync(true)), staging_folder, config))
    }

    fn over(objects: Arc<dyn ObjectStore>, staging_folder: PathBuf, config: &UploadConfig) -> Self {
        Self {
            objects,
            staging: Staging::new(staging_folder, config.staged_bytes),
            putting: Semaphore::new(PUT_AT_ONCE),
            max_bytes: config.max_bytes,
        }
    }

    /// How much of an artifact is here.
    pub(crate) async fn status(&self, digest: Digest) -> Result<UploadStatus, ServiceError> {
        if self.size(digest).await?.is_some() {
            return Ok(UploadStatus::Complete);
        }
        Ok(UploadStatus::Received(self.staging.received(digest).await?))
    }

    /// Those of `digests` that are not here.
    pub(crate) async fn missing(&self, digests: &[Digest]) -> Result<Vec<Digest>, ServiceError> {
        let mut missing = Vec::new();
        for digest in digests {
            if self.size(*digest).await?.is_none() && !missing.contains(digest) {
                missing.push(*digest);
            }
        }
        Ok(missing)
    }

    /// Begins or goes on with an upload at `offset`; `None` where the artifact is here already.
    pub(crate) async fn begin(
        &self,
        digest: Digest,
        size: u64,
        offset: u64,
    ) -> Result<Option<Upload<'_>>, ServiceError> {
        if size == 0 || size > self.max_bytes {
            let description = format!("must be 1 to {} bytes, not {size}", self.max_bytes);
            return Err(ServiceError::invalid("header.size_bytes", description));
        }
        if self.size(digest).await?.is_some() {
            return Ok(None);
        }
        self.staging.begin(digest, size, offset).await.map(Some)
    }

    /// Checks a complete upload and makes it visible.
    pub(crate) async fn finish(&self, mut upload: Upload<'_>, media_type: &str) -> Result<(), ServiceError> {
        let permit = self.putting.acquire().await;
        let _permit = permit.map_err(|_| ServiceError::internal("the artifact store is closed"))?;
        let digest = upload.digest();
        let bytes = upload.verified().await?;
        let put = async {
            let media_type = PutPayload::from(media_type.to_owned());
            self.objects.put(&media_type_path(digest), media_type).await?;
            self.objects.put(&path(digest), PutPayload::from(bytes)).await
        };
        let put = put.await.map(|_| ()).map_err(|error| object_fault("store an artifact", &error));
        // what was staged is of no more use: it is either stored, or in the way of those who need the room
        self.staging.remove(digest).await;
        put
    }

    /// Size and media type; `NotFound` where there is no such artifact.
    pub(crate) async fn info(&self, digest: Digest) -> Result<ArtifactInfo, ServiceError> {
        let size = self.size(digest).await?;
        let size = size.ok_or_else(|| ServiceError::NotFound { kind: "artifact", id: digest.to_string() })?;
        let media_type = match self.objects.get(&media_type_path(digest)).await {
            Ok(found) => found.bytes().await.map_err(|error| object_fault("read an artifact", &error))?,
            Err(object_store::Error::NotFound { .. }) => Bytes::from_static(UNKNOWN_MEDIA_TYPE.as_bytes()),
            Err(error) => return Err(object_fault("read an artifact", &error)),
        };
        Ok(ArtifactInfo { size, media_type: String::from_utf8_lossy(&media_type).into_owned() })
    }

    /// The bytes from `start` to `end`.
    pub(crate) async fn read(&self, digest: Digest, start: u64, end: u64) -> Result<Bytes, ServiceError> {
        let bytes = self.objects.get_range(&path(digest), start..end).await;
        bytes.map_err(|error| object_fault("read an artifact", &error))
    }

    /// Removes uploads that nobody has gone on with for `age`.
    pub(crate) async fn sweep(&self, age: Duration) -> usize {
        self.staging.sweep(age).await
    }

    async fn size(&self, digest: Digest) -> Result<Option<u64>, ServiceError> {
        match self.objects.head(&path(digest)).await {
            Ok(found) => Ok(Some(found.size)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(object_fault("look for an artifact", &error)),
        }
    }
}

fn path(digest: Digest) -> ObjectPath {
    let text = digest.to_string();
    ObjectPath::from(format!("{}/{text}", &text[..2]))
}

fn media_type_path(digest: Digest) -> ObjectPath {
    let text = digest.to_string();
    ObjectPath::from(format!("{}/{text}.type", &text[..2]))
}

/// A failure of the object store; says so where its disk is full.
fn object_fault(action: &str, error: &object_store::Error) -> ServiceError {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(found) = cause {
        if let Some(io) = found.downcast_ref::<std::io::Error>() {
            return io_fault(action, io);
        }
        cause = found.source();
    }
    ServiceError::Unavailable {
        message: format!("cannot {action}: {error}"),
        retry_after: Duration::from_secs(1),
    }
}

/// An I/O failure; says so where the disk is full.
fn io_fault(action: &str, error: &std::io::Error) -> ServiceError {
    use std::io::ErrorKind;
    if matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded) {
        return ServiceError::ResourceExhausted {
            subject: "disk",
            message: format!("cannot {action}: the coordinator's disk is full; free some space there"),
            retry_after: Some(Duration::from_secs(30)),
        };
    }
    ServiceError::internal(format!("cannot {action}: {error}"))
}

#[cfg(test)]
mod tests;
