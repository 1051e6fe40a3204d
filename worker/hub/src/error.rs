//! Why a model cannot be had, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};

use bytesize::ByteSize;

use crate::source::SourceError;

/// Why a model cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    /// The source refers to nothing.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A folder that holds no model.
    #[error("{} is not a model folder: it has no model_index.json", .0.display())]
    NotAModel(PathBuf),
    /// Nothing says where the cache is.
    #[error("no home folder is set: say where models are kept with model_cache or the variable HF_HUB_CACHE")]
    NoCache,
    /// No address.
    #[error("HF_ENDPOINT is {0:?}: give the address of a hub, such as https://huggingface.co")]
    Endpoint(String),
    /// Nothing that dials could be made.
    #[error(
        "nothing can be fetched: {0}; check HF_TOKEN and the machine's certificates, or give a local folder"
    )]
    Client(String),
    /// Files are missing, and nobody may be asked for them.
    #[error(
        "offline, and {name} is not whole in {}: missing {}; start once without HF_HUB_OFFLINE and offline, or copy the \
         model's folder here and give that instead", .looked.display(), .missing.join(", ")
    )]
    Offline {
        /// The model.
        name: String,
        /// The files.
        missing: Vec<String>,
        /// Where they were looked for.
        looked: PathBuf,
    },
    /// 401.
    #[error(
        "{endpoint} does not let us see {name}: it is private or gated, or there is no such model (then check the \
         spelling); with an account that may read it, set HF_TOKEN to a token with read access{}", hint_of(*.has_token)
    )]
    Unauthorised {
        /// The hub.
        endpoint: String,
        /// The model.
        name: String,
        /// Whether a token was sent.
        has_token: bool,
    },
    /// 403.
    #[error(
        "{endpoint} refuses {name} to this account: accept its conditions on the model's page, or use a token \
         (HF_TOKEN) that may read it{}", hint_of(*.has_token)
    )]
    Forbidden {
        /// The hub.
        endpoint: String,
        /// The model.
        name: String,
        /// Whether a token was sent.
        has_token: bool,
    },
    /// 404 for the first file of all.
    #[error(
        "{endpoint} has no {name} in the diffusers layout: check owner, name and revision ({revision}); the repository \
         may lack model_index.json; and if a folder is meant, there is none of this name here"
    )]
    NotFound {
        /// The hub.
        endpoint: String,
        /// The model.
        name: String,
        /// The revision.
        revision: String,
    },
    /// 404 for files that the worker needs.
    #[error(
        "{name} lacks {}: the worker reads Stable Diffusion 1.x and 2.x in the diffusers layout with weights as safetensors; \
         try another revision of it, or convert it and give the folder", .files.join(", ")
    )]
    Lacks {
        /// The model.
        name: String,
        /// The files.
        files: Vec<String>,
    },
    /// No usable answer after several tries.
    #[error(
        "{endpoint} cannot be asked for {file}: {reason}; check the network, a proxy (HTTPS_PROXY) and HF_ENDPOINT, or \
         give a local folder"
    )]
    Unreachable {
        /// The hub.
        endpoint: String,
        /// What was asked for.
        file: String,
        /// What happened last.
        reason: String,
    },
    /// An answer that no hub gives.
    #[error("{endpoint} answers for {file} as no hub does: {reason}; check HF_ENDPOINT")]
    Answer {
        /// The hub.
        endpoint: String,
        /// What was asked for.
        file: String,
        /// What is wrong.
        reason: String,
    },
    /// The bytes are not those that the hub says.
    #[error(
        "{file} of {name} came damaged: its digest is {found}, the hub says {expected}; nothing was kept; try again, and \
         if it stays so do not trust the mirror or proxy in between"
    )]
    Corrupt {
        /// The file.
        file: String,
        /// The model.
        name: String,
        /// The hub's digest.
        expected: String,
        /// The digest of what came.
        found: String,
    },
    /// The disk is too small.
    #[error(
        "{} needs {} more and has {} free: make room, or keep models elsewhere (model_cache, HF_HUB_CACHE)",
        .cache.display(), ByteSize(*.needed).display().iec(), ByteSize(*.free).display().iec()
    )]
    NoSpace {
        /// The cache.
        cache: PathBuf,
        /// Bytes still to come.
        needed: u64,
        /// Bytes free.
        free: u64,
    },
    /// The cache cannot be read or written.
    #[error("{} in the cache of models cannot be used: {source}; {}", .path.display(), advice(.source))]
    Cache {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another process holds a file for very long.
    #[error(
        "another process has been fetching {file} for longer than {minutes} min: see whether it is alive; it holds {}",
        .lock.display()
    )]
    Locked {
        /// The file.
        file: String,
        /// How long it was waited for.
        minutes: u64,
        /// The lock.
        lock: PathBuf,
    },
}

impl HubError {
    /// An error of the file system, with its place.
    pub(crate) fn cache(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Cache { path, source }
    }
}

fn hint_of(has_token: bool) -> &'static str {
    if has_token { " (the one that is set was sent)" } else { " (none is set)" }
}

fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "the disk is full: make room, what has come so far is kept"
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "a cache that may not be written must hold the whole model: fill it first, or name another with model_cache \
             or HF_HUB_CACHE"
        }
        _ => "check the folder, or name another with model_cache or HF_HUB_CACHE",
    }
}
