//! Uploads under way: one file a digest, appended to by one upload at a time, kept when the connection breaks.

use std::collections::HashMap;
use std::io::SeekFrom;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use likeness_shared::errors::ServiceError;
use likeness_shared::ids::Digest;
use tokio::fs::{File, OpenOptions};
use tokio::io::{AsyncSeekExt, AsyncWriteExt};

use super::io_fault;

/// Bytes that uploads under way may still take up, by digest.
#[derive(Debug)]
pub(super) struct Staging {
    folder: PathBuf,
    room: u64,
    reserved: Mutex<HashMap<Digest, u64>>,
}

impl Staging {
    pub(super) fn new(folder: PathBuf, room: u64) -> Self {
        Self { folder, room, reserved: Mutex::new(HashMap::new()) }
    }

    fn path(&self, digest: Digest) -> PathBuf {
        self.folder.join(format!("{digest}.partial"))
    }

    fn reserved(&self) -> MutexGuard<'_, HashMap<Digest, u64>> {
        self.reserved.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many bytes of an upload have arrived.
    pub(super) async fn received(&self, digest: Digest) -> Result<u64, ServiceError> {
        match tokio::fs::metadata(self.path(digest)).await {
            Ok(found) => Ok(found.len()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(0),
            Err(error) => Err(io_fault("look for an upload", &error)),
        }
    }

    /// Opens the upload at `offset`, where no other upload of the same bytes is under way and there is room.
    pub(super) async fn begin(
        &self,
        digest: Digest,
        size: u64,
        offset: u64,
    ) -> Result<Upload<'_>, ServiceError> {
        let reservation = self.reserve(digest, size)?;
        let received = self.received(digest).await?;
        if offset > received || offset > size {
            let description =
                format!("is {offset}, and {received} of {size} bytes have arrived: ask GetUpload");
            return Err(ServiceError::invalid("header.offset", description));
        }
        let opened = async {
            let mut options = OpenOptions::new();
            options.create(true).truncate(false).write(true);
            let mut file = options.open(self.path(digest)).await?;
            file.set_len(offset).await?;
            file.seek(SeekFrom::Start(offset)).await?;
            Ok(file)
        };
        let file = opened.await.map_err(|error| io_fault("stage an upload", &error))?;
        Ok(Upload { staging: self, _reservation: reservation, digest, size, received: offset, file })
    }

    fn reserve(&self, digest: Digest, size: u64) -> Result<Reservation<'_>, ServiceError> {
        let mut reserved = self.reserved();
        if reserved.contains_key(&digest) {
            return Err(ServiceError::Unavailable {
                message: format!("another upload of {digest} is under way"),
                retry_after: Duration::from_millis(500),
            });
        }
        let taken: u64 = reserved.values().sum();
        if taken.saturating_add(size) > self.room {
            return Err(ServiceError::ResourceExhausted {
                subject: "staged_bytes",
                message: format!("uploads under way take {taken} of {} bytes: try again shortly", self.room),
                retry_after: Some(Duration::from_secs(2)),
            });
        }
        reserved.insert(digest, size);
        Ok(Reservation { staging: self, digest })
    }

    /// Removes what has arrived of an upload.
    pub(super) async fn remove(&self, digest: Digest) {
        match tokio::fs::remove_file(self.path(digest)).await {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                tracing::warn!(%digest, %error, "cannot remove a staged upload");
            }
            _ => {}
        }
    }

    /// Removes files untouched for `age` that no upload has open. Gives back how many.
    pub(super) async fn sweep(&self, age: Duration) -> usize {
        let mut removed = 0;
        let Ok(mut entries) = tokio::fs::read_dir(&self.folder).await else { return 0 };
        while let Ok(Some(entry)) = entries.next_entry().await {
            let name = entry.file_name();
            let digest = name.to_str().and_then(|name| name.strip_suffix(".partial"));
            let Some(digest) = digest.and_then(|text| text.parse::<Digest>().ok()) else { continue };
            let modified = entry.metadata().await.and_then(|found| found.modified());
            let old = modified.is_ok_and(|time| time.elapsed().is_ok_and(|passed| passed > age));
            if old && !self.reserved().contains_key(&digest) {
                self.remove(digest).await;
                removed += 1;
            }
        }
        removed
    }
}

/// The exclusive right to an upload and its bytes; given back when it goes.
#[derive(Debug)]
struct Reservation<'s> {
    staging: &'s Staging,
    digest: Digest,
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        self.staging.reserved().remove(&self.digest);
    }
}

/// One upload under way. What has arrived stays when it is dropped, so that a later one goes on from there.
#[derive(Debug)]
pub(crate) struct Upload<'s> {
    staging: &'s Staging,
    _reservation: Reservation<'s>,
    digest: Digest,
    size: u64,
    received: u64,
    file: File,
}

impl Upload<'_> {
    pub(super) fn digest(&self) -> Digest {
        self.digest
    }

    /// Appends a piece.
    pub(crate) async fn append(&mut self, piece: &Bytes) -> Result<(), ServiceError> {
        let received = self.received.saturating_add(piece.len() as u64);
        if received > self.size {
            self.staging.remove(self.digest).await;
            let description = format!("more than the {} bytes announced have arrived", self.size);
            return Err(ServiceError::invalid("chunk", description));
        }
        if let Err(error) = self.file.write_all(piece).await {
            self.staging.remove(self.digest).await;
            return Err(io_fault("stage an upload", &error));
        }
        self.received = received;
        Ok(())
    }

    /// Writes out what has arrived, so that the upload can go on from there.
    pub(crate) async fn pause(mut self) {
        if let Err(error) = self.file.flush().await {
            tracing::debug!(digest = %self.digest, %error, "cannot flush a staged upload");
            self.staging.remove(self.digest).await;
        }
    }

    /// All bytes, after their number and digest have been checked.
    pub(super) async fn verified(&mut self) -> Result<Bytes, ServiceError> {
        if let Err(error) = self.file.flush().await {
            self.staging.remove(self.digest).await;
            return Err(io_fault("stage an upload", &error));
        }
        if self.received < self.size {
            let description = format!("{} of {} bytes have arrived", self.received, self.size);
            return Err(ServiceError::invalid("chunk", description));
        }
        let path = self.staging.path(self.digest);
        let bytes = tokio::fs::read(&path).await.map_err(|error| io_fault("read an upload", &error))?;
        let hashed = tokio::task::spawn_blocking(move || (Digest::of(&bytes), bytes)).await;
        let (found, bytes) = hashed.map_err(|_| ServiceError::internal("hashing was broken off"))?;
        if found != self.digest {
            self.staging.remove(self.digest).await;
            let description = format!("is {}, and the bytes that arrived have {found}", self.digest);
            return Err(ServiceError::invalid("header.digest", description));
        }
        Ok(Bytes::from(bytes))
    }
}
