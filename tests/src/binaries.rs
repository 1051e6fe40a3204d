//! The programs under test.
//!
//! Cargo tells only a crate's own tests where its binaries are, so they are looked for beside the test executable
//! (`target/PROFILE/deps/..`) and brought up to date first, once a test process. `LIKENESS_TEST_BINARIES=DIR` names a
//! folder of finished ones instead.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The path of a program of the workspace: `likeness`, `likeness-coordinator` or `likeness-worker`.
///
/// # Panics
/// Where it cannot be built.
#[must_use]
pub fn path(name: &str) -> PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    let path = FOLDER.get_or_init(folder).join(name);
    assert!(path.is_file(), "{} is missing", path.display());
    path
}

fn folder() -> PathBuf {
    if let Some(folder) = std::env::var_os("LIKENESS_TEST_BINARIES") {
        return folder.into();
    }
    let test = std::env::current_exe().expect("the test knows its own path");
    let folder = test.parent().and_then(Path::parent).expect("tests lie in target/PROFILE/deps");
    let target = folder.parent().expect("tests lie in target/PROFILE/deps");
    let profile = match folder.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(profile) => profile,
    };
    // The same selection as in tests/run: another one would unify features differently and build anew.
    let status = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["build", "--quiet", "--workspace", "--bins", "--profile", profile, "--target-dir"])
        .arg(target)
        .current_dir(crate::world::repository())
        .status()
        .expect("cargo can be started");
    assert!(status.success(), "the programs under test do not build");
    folder.to_path_buf()
}
