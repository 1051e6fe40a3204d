//! What a person file says beside its vectors.
//!
//! Only this project's keys are promises; those of other programs are passed through within bounds. The
//! name that a start was matched with is never written.

use std::collections::BTreeMap;

/// The metadata keys that this project writes.
pub mod keys {
    /// Digest of the base model's folder.
    pub const BASE_MODEL: &str = "likeness.base_model";
    /// How many vectors.
    pub const VECTORS: &str = "likeness.vectors";
    /// The parameterisation: `none`, `log_norm` or `sphere`.
    pub const PARAMETERISATION: &str = "likeness.parameterisation";
    /// The base `a` of the log-norm.
    pub const LOG_BASE: &str = "likeness.a";
    /// The kind of start: `face`, `rand2`, `id`, never a name.
    pub const START: &str = "likeness.start";
    /// How many training steps.
    pub const STEPS: &str = "likeness.steps";
    /// How many photos the person was learned from.
    pub const PHOTOS: &str = "likeness.photos";
    /// Scores of a quality report: likeness to the photos learned from,
    pub const ID: &str = "likeness.id";
    /// what it can reach,
    pub const CEILING: &str = "likeness.ceiling";
    /// likeness to photos kept from the training,
    pub const HELD_OUT_ID: &str = "likeness.held_out_id";
    /// share of the pictures with a face,
    pub const FACE_RATE: &str = "likeness.face_rate";
    /// fit to the prompts,
    pub const CLIP: &str = "likeness.clip";
    /// likeness and fit in one figure,
    pub const AGGREGATE: &str = "likeness.aggregate";
    /// and the digests of the networks whose cosines these are.
    pub const JUDGE: &str = "likeness.judge";
    /// The CLIP model.
    pub const CLIP_MODEL: &str = "likeness.clip_model";
    /// The task that learned the person.
    pub const TASK: &str = "likeness.task";
    /// The placeholder, where a format has no other place for it.
    pub const PLACEHOLDER: &str = "likeness.placeholder";
}

/// No more entries than this are kept of a foreign file.
const MAX_ENTRIES: usize = 64;
/// Longer keys and values (whole training logs, in some files) are left out.
const MAX_TEXT: usize = 4096;

/// The entries that are short enough to keep, in the order of their keys.
pub(super) fn bounded(entries: impl IntoIterator<Item = (String, String)>) -> BTreeMap<String, String> {
    let short = |(key, value): &(String, String)| key.len() <= MAX_TEXT && value.len() <= MAX_TEXT;
    let all: BTreeMap<String, String> = entries.into_iter().filter(short).collect();
    all.into_iter().take(MAX_ENTRIES).collect()
}
