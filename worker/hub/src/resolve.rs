//! From what an operator writes to a folder with a model in it.

use std::io;
use std::path::{Path, PathBuf};

use nix::sys::statvfs::statvfs;

use crate::cache::Repository;
use crate::download::{Tally, Wanted, fetch};
use crate::environment::HubOptions;
use crate::error::HubError;
use crate::inspection::Inspection;
use crate::layout::{CONFIGURATIONS, INDEX, TOKENIZER, Variant, weights};
use crate::manifest::{Manifest, Record};
use crate::progress::{Listener, Progress};
use crate::reference::{HubName, ModelReference};
use crate::remote::Remote;
use crate::source::ModelSource;

/// Room on the disk that is not filled.
const KEPT_FREE: u64 = 16 << 20;
/// Tries to ask whether a branch has moved, where the cache has a whole model anyway.
const TRIES_WITH_A_COPY: u32 = 2;

/// The folder of a model, in the diffusers layout. A model of a hub is brought into the cache first; what has come
/// whole is never fetched again. Nobody is dialled for a folder, offline, or for a commit that the cache has.
///
/// Where a branch or tag cannot be asked after and the cache has a whole copy, that one serves, with a warning.
///
/// Dropping the future stops the work; what has come so far is gone on from the next time.
///
/// # Errors
/// Where there is no such model, it cannot be had, or the cache cannot hold it.
pub async fn resolve(
    source: &ModelSource,
    options: &HubOptions,
    listener: &mut (dyn FnMut(&Progress) + Send),
) -> Result<PathBuf, HubError> {
    match source.reference()? {
        ModelReference::Folder(folder) => checked(folder),
        ModelReference::Hub(name) => from_hub(&name, source.variant, options, listener).await,
    }
}

/// The folder of a model that is one already; nothing where it has to come from a hub.
///
/// # Errors
/// Where there is no such model.
pub fn local(source: &ModelSource) -> Result<Option<PathBuf>, HubError> {
    match source.reference()? {
        ModelReference::Folder(folder) => checked(folder).map(Some),
        ModelReference::Hub(_) => Ok(None),
    }
}

fn checked(folder: PathBuf) -> Result<PathBuf, HubError> {
    if folder.join(INDEX).is_file() { Ok(folder) } else { Err(HubError::NotAModel(folder)) }
}

async fn from_hub(
    name: &HubName,
    variant: Variant,
    options: &HubOptions,
    listener: Listener<'_>,
) -> Result<PathBuf, HubError> {
    let repository = Repository::new(&options.cache, name);
    let mut known = None;
    if let Some(commit) = repository.commit_of(name.revision()) {
        let inspection = Inspection::of(&repository, &commit, &mut *listener).await?;
        known = Some((commit, inspection));
    }
    let copy = match &known {
        Some((commit, inspection)) if inspection.missing(variant).is_empty() => {
            remember(&repository, commit, inspection);
            Some(repository.snapshot(commit))
        }
        _ => None,
    };
    if options.offline {
        return copy.ok_or_else(|| HubError::Offline {
            name: name.to_string(),
            missing: match &known {
                Some((_, inspection)) => inspection.missing(variant),
                None => vec!["all of it".to_owned()],
            },
            looked: match &known {
                Some((commit, _)) => repository.snapshot(commit),
                None => options.cache.join(name.folder()),
            },
        });
    }
    if let (Some(folder), true) = (&copy, name.is_fixed()) {
        return Ok(folder.clone());
    }
    let remote = Remote::new(name, options)?;
    let tries = if copy.is_some() { TRIES_WITH_A_COPY } else { options.pace.attempts };
    let asked = remote.describe(name.revision(), INDEX, tries).await.and_then(|description| {
        description.ok_or_else(|| HubError::NotFound {
            endpoint: options.endpoint.clone(),
            name: name.id(),
            revision: name.revision().to_owned(),
        })
    });
    let commit = match (asked, copy) {
        (Ok(description), _) => description.commit,
        (Err(error), Some(folder)) => {
            tracing::warn!(%error, model = %name, folder = %folder.display(), "the copy in the cache serves");
            return Ok(folder);
        }
        (Err(error), None) => return Err(error),
    };
    let inspection = match known {
        Some((known, inspection)) if known == commit => inspection,
        _ => Inspection::of(&repository, &commit, &mut *listener).await?,
    };
    let inspection = complete(&remote, &repository, &commit, variant, inspection, listener).await?;
    remember(&repository, &commit, &inspection);
    // After the files: offline, a revision that is noted has to be whole.
    match repository.write_ref(name.revision(), &commit) {
        Err(HubError::Cache { source, .. }) if is_read_only(&source) => {}
        written => written?,
    }
    Ok(repository.snapshot(&commit))
}

/// Fetches what is missing and can be had.
async fn complete(
    remote: &Remote<'_>,
    repository: &Repository,
    commit: &str,
    variant: Variant,
    mut inspection: Inspection,
    listener: Listener<'_>,
) -> Result<Inspection, HubError> {
    if inspection.is_settled(variant) {
        return Ok(inspection);
    }
    let mut wanted = Vec::new();
    for file in CONFIGURATIONS.into_iter().chain(TOKENIZER) {
        if !inspection.is_open(file) {
            continue;
        }
        wanted.extend(ask(remote, commit, file, &mut inspection).await?);
    }
    for weights in weights() {
        for file in inspection.order(&weights, variant) {
            if inspection.is_good(file) {
                break;
            }
            if let Some(found) = ask(remote, commit, file, &mut inspection).await? {
                wanted.push(found);
                break;
            }
        }
    }
    let mut then = inspection.clone();
    for wanted in &wanted {
        then.take(&wanted.file, Record { size: wanted.size, sha256: String::new() });
    }
    let files = then.missing(variant);
    if !files.is_empty() {
        return Err(HubError::Lacks { name: remote.name().to_string(), files });
    }
    let total = wanted.iter().map(|wanted| wanted.size).sum();
    check_space(&remote.options().cache, total)?;
    let mut tally = Tally { listener, done: 0, total };
    for wanted in &wanted {
        let record = fetch(remote, repository, wanted, &mut tally).await?;
        repository.link(commit, &wanted.file, &wanted.etag)?;
        inspection.take(&wanted.file, record);
        remember(repository, commit, &inspection);
    }
    Ok(inspection)
}

/// Asks the hub for a file; where it has none, that is noted.
async fn ask(
    remote: &Remote<'_>,
    commit: &str,
    file: &str,
    inspection: &mut Inspection,
) -> Result<Option<Wanted>, HubError> {
    let described = remote.describe(commit, file, remote.options().pace.attempts).await?;
    if described.is_none() {
        inspection.absent.insert(file.to_owned());
    }
    Ok(described.map(|description| Wanted {
        file: file.to_owned(),
        commit: commit.to_owned(),
        etag: description.etag,
        size: description.size,
    }))
}

/// Writes down what was checked. A cache that may not be written works without: then files are read at every start.
fn remember(repository: &Repository, commit: &str, inspection: &Inspection) {
    let path = repository.manifest(commit);
    let manifest = Manifest { files: inspection.good.clone(), absent: inspection.absent.clone() };
    if manifest == Manifest::read(&path) {
        return;
    }
    if let Err(error) = manifest.write(&path) {
        tracing::debug!(%error, path = %path.display(), "what was checked of a model is not kept");
    }
}

fn is_read_only(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem)
}

/// Refuses to begin what cannot end. Where the system does not say how much is free, it is tried.
fn check_space(cache: &Path, needed: u64) -> Result<(), HubError> {
    let Some(there) = cache.ancestors().find(|folder| folder.is_dir()) else { return Ok(()) };
    let Ok(disk) = statvfs(there) else { return Ok(()) };
    let free = disk.blocks_available().saturating_mul(disk.fragment_size());
    if needed > 0 && free < needed.saturating_add(KEPT_FREE) {
        return Err(HubError::NoSpace { cache: cache.to_path_buf(), needed, free });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_that_is_too_small_is_named_before_anything_is_fetched() {
        let folder = tempfile::tempdir().unwrap();
        let cache = folder.path().join("not/yet/there");
        check_space(&cache, 0).unwrap();
        check_space(&cache, 1).unwrap();
        let error = check_space(&cache, 1 << 60).unwrap_err().to_string();
        assert!(error.contains("1.0 EiB") && error.contains("make room"), "{error}");
    }
}
