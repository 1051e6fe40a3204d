//! Where compiled kernels and the outcome of tuning them are kept, so that a start on a card is cold once and not every time.
//!
//! One file for each kind of card and of compiler: measurements of one card say nothing of another, and a driver refuses kernels
//! in a language newer than its own. Inside, cubecl keeps its version, the kernels' build, their source and their shapes apart.
//! Several processes may use a file at once; one that cannot be written is read and not added to.

use std::env;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::choice::{DeviceChoice, DeviceError};
use super::cuda;

/// The environment's variable for the folder; empty = nothing is kept.
pub const FOLDER_VARIABLE: &str = "LIKENESS_KERNEL_CACHE";

/// The folder: as configured, else as the environment says, else `likeness/kernels` in the user's folder for caches. `None` where
/// it is empty, or nothing names one: nothing is kept then.
#[must_use]
pub fn folder(configured: Option<&Path>) -> Option<PathBuf> {
    let named = configured.map(Path::to_path_buf).or_else(|| env::var_os(FOLDER_VARIABLE).map(PathBuf::from));
    let absolute = |name: &str| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let of_user = || absolute("XDG_CACHE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".cache")));
    match named {
        Some(folder) => Some(folder).filter(|folder| !folder.as_os_str().is_empty()),
        None => of_user().map(|cache| cache.join("likeness/kernels")),
    }
}

/// Has this process keep its kernels in `folder` (see [`folder`]), and take from there what another has kept. Before the first
/// work on the device; only the first call of a process has effect. The file, where there is one: none for the CPU.
///
/// # Errors
/// [`DeviceError`] for a card that cannot be used. A folder that cannot be written is no error.
pub fn prepare(device: DeviceChoice, folder: Option<&Path>) -> Result<Option<PathBuf>, DeviceError> {
    static PREPARED: Mutex<Option<Option<PathBuf>>> = Mutex::new(None);
    let DeviceChoice::Cuda(number) = device.settled() else { return Ok(None) };
    let mut prepared = PREPARED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(file) = prepared.as_ref() {
        return Ok(file.clone());
    }
    let (card, compiler) = cuda::check(number).map_err(|trouble| DeviceError::Cuda { number, trouble })?;
    let name = card.kernel_class(&compiler);
    let file = folder.map(|folder| folder.join(format!("{name}.db")));
    if !cuda::keep_kernels(folder, &name) {
        tracing::warn!("kernels were in use before a place to keep them was named: they are kept elsewhere");
        return Ok(None);
    }
    match &file {
        Some(file) if file.exists() => {
            tracing::info!(file = %file.display(), "kernels of earlier starts are used")
        }
        Some(file) => {
            tracing::info!(file = %file.display(), "no kernels are kept yet: first passes compile and tune theirs, for minutes");
        }
        None => tracing::info!("kernels are not kept: first passes compile and tune theirs, for minutes"),
    }
    if let Some(folder) = folder
        && let Err(error) = std::fs::create_dir_all(folder)
    {
        tracing::warn!(folder = %folder.display(), %error, "folder cannot be made, kernels are not kept");
    }
    *prepared = Some(file.clone());
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_is_named_is_taken_and_an_empty_one_means_none() {
        assert_eq!(folder(Some(Path::new("/kernels"))), Some(PathBuf::from("/kernels")));
        assert_eq!(folder(Some(Path::new(""))), None);
    }

    #[test]
    fn the_cpu_keeps_no_kernels() {
        assert_eq!(prepare(DeviceChoice::Cpu, Some(Path::new("/nowhere"))), Ok(None));
        let card = prepare(DeviceChoice::Cuda(99), None).unwrap_err().to_string();
        assert!(card.starts_with("device \"cuda:99\" is asked for, but "), "{card}");
    }
}
