//! What was checked of a snapshot: a small file beside it, so that later starts compare sizes instead of reading all.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// One file that was held against its digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// In bytes.
    pub(crate) size: u64,
    /// Of its bytes, in hexadecimal.
    pub(crate) sha256: String,
}

/// What is known of one commit of a repository.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    /// The files that are there.
    pub(crate) files: BTreeMap<String, Record>,
    /// Files that the repository does not have.
    pub(crate) absent: BTreeSet<String>,
}

impl Manifest {
    /// Reads one; a missing or unreadable one knows nothing, and everything is checked again.
    pub(crate) fn read(path: &Path) -> Self {
        std::fs::read(path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
    }

    /// Writes it whole or not at all.
    pub(crate) fn write(&self, path: &Path) -> std::io::Result<()> {
        let folder = path.parent().unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder)?;
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(&serde_json::to_vec_pretty(self)?)?;
        file.persist(path)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_comes_back_as_it_was_and_a_broken_one_knows_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("likeness/c.json");
        assert_eq!(Manifest::read(&path), Manifest::default());
        let mut manifest = Manifest::default();
        manifest.files.insert("a".into(), Record { size: 3, sha256: "00".into() });
        manifest.absent.insert("b".into());
        manifest.write(&path).unwrap();
        assert_eq!(Manifest::read(&path), manifest);
        std::fs::write(&path, "{\"files\": 7").unwrap();
        assert_eq!(Manifest::read(&path), Manifest::default());
    }
}
