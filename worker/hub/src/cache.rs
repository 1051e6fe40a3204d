//! A repository in the cache, laid out as the hub's own programs do:
//!
//! ```text
//! models--owner--name/refs/main             the commit that the branch was at
//! models--owner--name/snapshots/COMMIT/...  the files by name, as links to
//! models--owner--name/blobs/ETAG            the bytes, by the name that the hub has for them
//! models--owner--name/likeness/COMMIT.json  ours: what was checked
//! .locks/models--owner--name/ETAG.lock      held while a blob is fetched
//! ```

use std::io;
use std::path::{Path, PathBuf};

use crate::error::HubError;
use crate::reference::{HubName, is_commit, is_word};

/// The folder of one repository.
#[derive(Clone, Debug)]
pub(crate) struct Repository {
    root: PathBuf,
    locks: PathBuf,
}

impl Repository {
    pub(crate) fn new(cache: &Path, name: &HubName) -> Self {
        Self { root: cache.join(name.folder()), locks: cache.join(".locks").join(name.folder()) }
    }

    /// The commit that a revision was at when it was last fetched.
    pub(crate) fn commit_of(&self, revision: &str) -> Option<String> {
        if is_commit(revision) {
            return Some(revision.to_owned());
        }
        let commit = std::fs::read_to_string(self.root.join("refs").join(revision)).ok()?;
        Some(commit.trim().to_owned()).filter(|commit| is_word(commit))
    }

    pub(crate) fn snapshot(&self, commit: &str) -> PathBuf {
        self.root.join("snapshots").join(commit)
    }

    pub(crate) fn blob(&self, etag: &str) -> PathBuf {
        self.root.join("blobs").join(etag)
    }

    pub(crate) fn manifest(&self, commit: &str) -> PathBuf {
        self.root.join("likeness").join(format!("{commit}.json"))
    }

    pub(crate) fn lock(&self, etag: &str) -> PathBuf {
        self.locks.join(format!("{etag}.lock"))
    }

    /// Whether one of the hub's programs has noted that the commit does not have this file.
    pub(crate) fn is_noted_absent(&self, commit: &str, file: &str) -> bool {
        self.root.join(".no_exist").join(commit).join(file).exists()
    }

    /// The hub's name for the bytes behind a file of a snapshot: that of the blob that it is a link to.
    pub(crate) fn etag_of(&self, commit: &str, file: &str) -> Option<String> {
        let target = std::fs::read_link(self.snapshot(commit).join(file)).ok()?;
        Some(target.file_name()?.to_str()?.to_owned())
    }

    /// Makes `file` of the snapshot the blob `etag`, in place of what was there.
    pub(crate) fn link(&self, commit: &str, file: &str, etag: &str) -> Result<(), HubError> {
        let link = self.snapshot(commit).join(file);
        let up = "../".repeat(2 + file.split('/').count() - 1);
        let target = PathBuf::from(format!("{up}blobs/{etag}"));
        if std::fs::read_link(&link).is_ok_and(|present| present == target) {
            return Ok(());
        }
        let made = create_parent(&link).and_then(|()| remove_if_there(&link)).and_then(|()| {
            match std::os::unix::fs::symlink(&target, &link) {
                // Another process was first.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
                made => made,
            }
        });
        made.map_err(HubError::cache(&link))
    }

    /// Notes which commit a revision is at.
    pub(crate) fn write_ref(&self, revision: &str, commit: &str) -> Result<(), HubError> {
        if is_commit(revision) || self.commit_of(revision).as_deref() == Some(commit) {
            return Ok(());
        }
        let path = self.root.join("refs").join(revision);
        create_parent(&path).and_then(|()| std::fs::write(&path, commit)).map_err(HubError::cache(&path))
    }
}

pub(crate) fn create_parent(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), std::fs::create_dir_all)
}

pub(crate) fn remove_if_there(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}
