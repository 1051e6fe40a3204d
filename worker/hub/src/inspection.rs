//! What of a model is in the cache already, and whether it is whole.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use crate::cache::Repository;
use crate::digest::Digester;
use crate::error::HubError;
use crate::layout::{
    CONFIGURATIONS, TOKENIZER, TOKENIZER_CONFIG, VOCABULARY, Variant, WHOLE_TOKENIZER, Weights, weights,
};
use crate::manifest::{Manifest, Record};
use crate::progress::{Listener, Progress, Stage};

/// The files of one commit that are there and are what they should be.
#[derive(Clone, Debug, Default)]
pub(crate) struct Inspection {
    pub(crate) good: BTreeMap<String, Record>,
    /// Files that the commit is known not to have.
    pub(crate) absent: BTreeSet<String>,
    /// Files that are there and are not what they should be, with the reason.
    damaged: BTreeMap<String, String>,
}

impl Inspection {
    /// Looks at every file that the worker may read. Those that the manifest knows are held against their size; others
    /// are read, and held against the digest by which the cache names them.
    pub(crate) async fn of(
        repository: &Repository,
        commit: &str,
        listener: Listener<'_>,
    ) -> Result<Self, HubError> {
        let manifest = Manifest::read(&repository.manifest(commit));
        let mut found = Self { absent: manifest.absent, ..Self::default() };
        let mut unread = Vec::new();
        let files = CONFIGURATIONS.into_iter().chain(TOKENIZER).map(str::to_owned);
        let weights = weights().into_iter().flat_map(|weights| [weights.full, weights.fp16]);
        for file in files.chain(weights) {
            let path = repository.snapshot(commit).join(&file);
            let size = match std::fs::metadata(&path) {
                Ok(there) => there.len(),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    if repository.is_noted_absent(commit, &file) {
                        found.absent.insert(file);
                    }
                    continue;
                }
                Err(error) => return Err(HubError::cache(&path)(error)),
            };
            match manifest.files.get(&file) {
                Some(record) if record.size == size => _ = found.good.insert(file, record.clone()),
                Some(record) => {
                    let reason = format!("it has {size} bytes instead of {}", record.size);
                    found.damaged.insert(file, reason);
                }
                None => unread.push((file, size)),
            }
        }
        let total = unread.iter().map(|(_, size)| size).sum();
        let mut done = 0;
        for (file, size) in unread {
            let path = repository.snapshot(commit).join(&file);
            let etag = repository.etag_of(commit, &file).unwrap_or_default();
            let mut digester = Digester::new(&etag, size);
            let seen = |count| {
                done += count;
                listener(&Progress { stage: Stage::Checking, file: file.clone(), done, total });
            };
            digester.read(&path, seen).await.map_err(HubError::cache(&path))?;
            let digested = digester.finish();
            match digested.other {
                None => _ = found.good.insert(file, Record { size, sha256: digested.sha256 }),
                Some(own) => {
                    let reason = format!("its digest is {own} instead of {etag}");
                    found.damaged.insert(file, reason);
                }
            }
        }
        Ok(found)
    }

    pub(crate) fn is_good(&self, file: &str) -> bool {
        self.good.contains_key(file)
    }

    /// Neither there nor known not to be.
    pub(crate) fn is_open(&self, file: &str) -> bool {
        !self.is_good(file) && !self.absent.contains(file)
    }

    /// A file has come.
    pub(crate) fn take(&mut self, file: &str, record: Record) {
        self.damaged.remove(file);
        self.good.insert(file.to_owned(), record);
    }

    /// The weights of a part that will do, the wanted ones first. Damaged full ones are wanted whatever was asked for,
    /// and good ones always do: the worker reads them before the rounded ones.
    pub(crate) fn order<'w>(&self, weights: &'w Weights, variant: Variant) -> [&'w str; 2] {
        let is_there = self.is_good(&weights.full) || self.damaged.contains_key(&weights.full);
        weights.in_order(if is_there { Variant::Full } else { variant })
    }

    /// Whether nothing is left to ask a hub for.
    pub(crate) fn is_settled(&self, variant: Variant) -> bool {
        self.missing(variant).is_empty()
            && TOKENIZER.iter().all(|file| !self.is_open(file))
            && weights().iter().all(|weights| !self.is_open(self.order(weights, variant)[0]))
    }

    /// The files without which the model cannot be used, damaged ones with the reason; empty = it can.
    pub(crate) fn missing(&self, variant: Variant) -> Vec<String> {
        let has_vocabulary =
            VOCABULARY.iter().all(|file| self.is_good(file)) || self.is_good(WHOLE_TOKENIZER);
        let is_missing = |file: &str| {
            (CONFIGURATIONS.contains(&file) && !self.is_good(file))
                || (VOCABULARY.contains(&file) && !has_vocabulary && !self.is_good(file))
                || (file == TOKENIZER_CONFIG && self.is_open(file))
                || self.damaged.contains_key(file)
        };
        let mut missing: Vec<String> = CONFIGURATIONS
            .into_iter()
            .chain(TOKENIZER)
            .filter(|file| is_missing(file))
            .map(str::to_owned)
            .collect();
        for weights in weights() {
            let [first, second] = self.order(&weights, variant);
            if !self.is_good(first) && (!self.is_good(second) || self.damaged.contains_key(first)) {
                missing.push(first.to_owned());
            }
        }
        let named = |file: String| match self.damaged.get(&file) {
            Some(reason) => format!("{file} ({reason})"),
            None => file,
        };
        missing.into_iter().map(named).collect()
    }
}
