//! Files that are there whole or not at all: written beside their place under another name, synced, renamed.

use std::io::Write;
use std::path::{Path, PathBuf};

/// Why a file could not be written. Nothing of it is left behind.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WriteFailed {
    /// The target names a folder.
    #[error("{} is a folder; name a file in it, such as {}", .0.display(), .0.join("picture.png").display())]
    IsFolder(PathBuf),
    /// The folder to write into does not exist.
    #[error("the folder {} does not exist; create it first", .0.display())]
    NoFolder(PathBuf),
    /// The system refused.
    #[error("cannot write {}: {source}", path.display())]
    Io {
        /// The file that was asked for.
        path: PathBuf,
        /// What the system said, such as "No space left on device".
        source: std::io::Error,
    },
}

/// Checks, before hours of work, that `path` can be written to later.
pub(crate) fn check_target(path: &Path) -> Result<(), WriteFailed> {
    if path.is_dir() {
        return Err(WriteFailed::IsFolder(path.to_path_buf()));
    }
    let folder = folder_of(path);
    if !folder.is_dir() {
        return Err(WriteFailed::NoFolder(folder.to_path_buf()));
    }
    Ok(())
}

/// Writes `bytes` to `path` in one step: readers see the old file or the new one, never a part.
///
/// A target that is there and is not an ordinary file (`/dev/stdout`, a pipe) is written to directly.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), WriteFailed> {
    check_target(path)?;
    let refused = |source| WriteFailed::Io { path: path.to_path_buf(), source };
    if path.metadata().is_ok_and(|facts| !facts.is_file()) {
        let mut special = std::fs::OpenOptions::new().write(true).open(path).map_err(refused)?;
        return special.write_all(bytes).and_then(|()| special.flush()).map_err(refused);
    }
    let mut builder = tempfile::Builder::new();
    builder.prefix(".likeness-").suffix(".part");
    #[cfg(unix)]
    {
        // What an ordinary new file gets, less the umask; temporary files are private otherwise.
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    let mut file = builder.tempfile_in(folder_of(path)).map_err(refused)?;
    file.write_all(bytes).and_then(|()| file.as_file().sync_all()).map_err(refused)?;
    file.persist(path).map_err(|error| refused(error.error))?;
    Ok(())
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_nothing_else_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.png");
        write(&path, b"one").unwrap();
        write(&path, b"two").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn folders_and_missing_folders_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let said = write(folder.path(), b"x").unwrap_err().to_string();
        assert!(said.contains("is a folder"), "{said}");
        let said = write(&folder.path().join("no/a.png"), b"x").unwrap_err().to_string();
        assert!(said.contains("does not exist") && said.contains("no"), "{said}");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_device_is_an_error_that_says_so() {
        let said = write(Path::new("/dev/full"), b"x").unwrap_err().to_string();
        assert!(said.contains("/dev/full") && said.contains("space"), "{said}");
    }
}
