//! One file into the cache: one process at a time, from where the last try ended, and only with the right digest.

use std::fs::TryLockError;
use std::io::{self, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::fs::{File, OpenOptions};
use tokio::io::{AsyncSeekExt, AsyncWriteExt};
use tokio::time::{Instant, sleep, timeout};

use crate::cache::{Repository, create_parent, remove_if_there};
use crate::digest::{Digester, is_digest};
use crate::error::HubError;
use crate::manifest::Record;
use crate::progress::{Listener, Progress, Stage};
use crate::remote::{Remote, Trouble, chain};

/// How often a lock that is held is tried again.
const LOCK_EVERY: Duration = Duration::from_millis(200);

/// A file to be fetched.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) file: String,
    pub(crate) commit: String,
    pub(crate) etag: String,
    pub(crate) size: u64,
}

/// Counts over all files that are fetched.
pub(crate) struct Tally<'a> {
    pub(crate) listener: Listener<'a>,
    pub(crate) done: u64,
    pub(crate) total: u64,
}

impl Tally<'_> {
    fn say(&mut self, stage: Stage, file: &str) {
        let (done, total) = (self.done, self.total);
        (self.listener)(&Progress { stage, file: file.to_owned(), done, total });
    }
}

/// Brings the bytes of `wanted` into the cache, where they are not there already.
pub(crate) async fn fetch(
    remote: &Remote<'_>,
    repository: &Repository,
    wanted: &Wanted,
    tally: &mut Tally<'_>,
) -> Result<Record, HubError> {
    let blob = repository.blob(&wanted.etag);
    let before = tally.done;
    let _lock = lock(remote, repository, wanted, tally).await?;
    let record = match present(&blob, wanted).await? {
        Some(record) => record,
        None => download(remote, &blob, wanted, tally).await?,
    };
    tally.done = before + wanted.size;
    tally.say(Stage::Fetching, &wanted.file);
    Ok(record)
}

/// The blob that is there, unless it is damaged; then it goes.
async fn present(blob: &Path, wanted: &Wanted) -> Result<Option<Record>, HubError> {
    if !blob.is_file() {
        return Ok(None);
    }
    let mut digester = Digester::new(&wanted.etag, wanted.size);
    digester.read(blob, |_| ()).await.map_err(HubError::cache(blob))?;
    let digested = digester.finish();
    if digested.length == wanted.size && digested.other.is_none() {
        return Ok(Some(Record { size: digested.length, sha256: digested.sha256 }));
    }
    tracing::warn!(file = wanted.file, blob = %blob.display(), "a damaged file of the cache is fetched anew");
    remove_if_there(blob).map_err(HubError::cache(blob))?;
    Ok(None)
}

/// Takes the lock that the hub's own programs take too.
async fn lock(
    remote: &Remote<'_>,
    repository: &Repository,
    wanted: &Wanted,
    tally: &mut Tally<'_>,
) -> Result<std::fs::File, HubError> {
    let path = repository.lock(&wanted.etag);
    let opened =
        create_parent(&path).and_then(|()| std::fs::File::options().create(true).append(true).open(&path));
    let file = opened.map_err(HubError::cache(&path))?;
    let within = remote.options().pace.lock_within;
    let began = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if began.elapsed() < within => {
                tally.say(Stage::Waiting, &wanted.file);
                sleep(LOCK_EVERY).await;
            }
            Err(TryLockError::WouldBlock) => {
                let (file, minutes) = (wanted.file.clone(), within.as_secs() / 60);
                return Err(HubError::Locked { file, minutes, lock: path });
            }
            Err(TryLockError::Error(error)) => return Err(HubError::cache(&path)(error)),
        }
    }
}

async fn download(
    remote: &Remote<'_>,
    blob: &Path,
    wanted: &Wanted,
    tally: &mut Tally<'_>,
) -> Result<Record, HubError> {
    let mut partial = blob.as_os_str().to_owned();
    partial.push(".incomplete");
    let path = PathBuf::from(partial);
    loop {
        let mut filling = Filling::open(&path, wanted, tally).await.map_err(HubError::cache(&path))?;
        let resumed = filling.digester.length() > 0;
        filling.fill(remote, wanted, tally).await?;
        filling.file.flush().await.map_err(HubError::cache(&path))?;
        filling.file.sync_all().await.map_err(HubError::cache(&path))?;
        let digested = filling.digester.finish();
        let Some(found) = digested.other else {
            if !is_digest(&wanted.etag) {
                tracing::warn!(
                    file = wanted.file,
                    sha256 = digested.sha256,
                    "the hub states no digest for this file"
                );
            }
            std::fs::rename(&path, blob).map_err(HubError::cache(blob))?;
            return Ok(Record { size: digested.length, sha256: digested.sha256 });
        };
        remove_if_there(&path).map_err(HubError::cache(&path))?;
        if !resumed {
            return Err(HubError::Corrupt {
                file: wanted.file.clone(),
                name: remote.name().to_string(),
                expected: wanted.etag.clone(),
                found,
            });
        }
        tracing::warn!(
            file = wanted.file,
            "what an earlier try had left does not fit, fetching all of it anew"
        );
        tally.done = tally.done.saturating_sub(wanted.size);
    }
}

/// A file that is being filled, and the digest of what it holds.
struct Filling<'a> {
    path: &'a Path,
    file: File,
    digester: Digester,
}

impl<'a> Filling<'a> {
    /// Goes on behind what an earlier try has left.
    async fn open(path: &'a Path, wanted: &Wanted, tally: &mut Tally<'_>) -> io::Result<Self> {
        create_parent(path)?;
        let mut file = OpenOptions::new().create(true).truncate(false).write(true).open(path).await?;
        let mut digester = Digester::new(&wanted.etag, wanted.size);
        if file.metadata().await?.len() > wanted.size {
            file.set_len(0).await?;
        }
        digester.read(path, |_| ()).await?;
        file.seek(SeekFrom::Start(digester.length())).await?;
        tally.done += digester.length();
        Ok(Self { path, file, digester })
    }

    async fn fill(
        &mut self,
        remote: &Remote<'_>,
        wanted: &Wanted,
        tally: &mut Tally<'_>,
    ) -> Result<(), HubError> {
        let mut tries = 0;
        while self.digester.length() < wanted.size {
            let before = self.digester.length();
            let reason = match self.pour(remote, wanted, tally).await {
                Ok(()) => continue,
                Err(Trouble::Final(error)) => return Err(error),
                Err(Trouble::Passing(reason)) => reason,
                Err(Trouble::Missing) => "it has gone".to_owned(),
                Err(Trouble::NotFromHere) => {
                    self.rewind(wanted, tally).await?;
                    "it could not be resumed".to_owned()
                }
            };
            tries = if self.digester.length() > before { 1 } else { tries + 1 };
            if tries >= remote.options().pace.attempts {
                return Err(remote.unreachable(&wanted.file, reason));
            }
            tracing::debug!(
                file = wanted.file,
                at = self.digester.length(),
                reason,
                "fetching goes on after a pause"
            );
            sleep(remote.pause(tries)).await;
        }
        Ok(())
    }

    /// Takes what one connection brings.
    async fn pour(
        &mut self,
        remote: &Remote<'_>,
        wanted: &Wanted,
        tally: &mut Tally<'_>,
    ) -> Result<(), Trouble> {
        let mut opened = remote.open(&wanted.commit, &wanted.file, self.digester.length()).await?;
        if opened.from < self.digester.length() {
            self.rewind(wanted, tally).await.map_err(Trouble::Final)?;
        }
        loop {
            let piece = timeout(remote.options().pace.stall, opened.response.chunk()).await;
            let piece = piece.map_err(|_| Trouble::Passing("the connection stands still".to_owned()))?;
            let piece = piece.map_err(|error| Trouble::Passing(chain(&error.without_url())))?;
            let Some(piece) = piece else { break };
            if self.digester.length() + piece.len() as u64 > wanted.size {
                let reason = format!("it sends more than the {} bytes that it has announced", wanted.size);
                return Err(Trouble::Final(remote.odd_answer(&wanted.file, reason)));
            }
            let written = self.file.write_all(&piece).await;
            written.map_err(|error| Trouble::Final(HubError::cache(self.path)(error)))?;
            self.digester.update(&piece);
            tally.done += piece.len() as u64;
            tally.say(Stage::Fetching, &wanted.file);
        }
        if self.digester.length() < wanted.size {
            let (length, size) = (self.digester.length(), wanted.size);
            return Err(Trouble::Passing(format!("the connection ended at {length} of {size} bytes")));
        }
        Ok(())
    }

    async fn rewind(&mut self, wanted: &Wanted, tally: &mut Tally<'_>) -> Result<(), HubError> {
        tally.done = tally.done.saturating_sub(self.digester.length());
        self.digester = Digester::new(&wanted.etag, wanted.size);
        self.file.set_len(0).await.map_err(HubError::cache(self.path))?;
        self.file.seek(SeekFrom::Start(0)).await.map_err(HubError::cache(self.path))?;
        Ok(())
    }
}
