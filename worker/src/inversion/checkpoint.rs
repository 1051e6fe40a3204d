//! The whole trainable state of an inversion, small enough for a heartbeat (about 25 KiB for 2 x 1024, 37 KiB where a
//! fixed batch is watched and the best vectors are kept).
//!
//! Layout: `LIKECKPT`, u16 version (little-endian), 32 bytes binding, 8 bytes checksum, postcard payload. Version 2 has the
//! watch after the rest of the payload; what needs none is written as version 1, which older releases read too.
//! The *binding* is a digest of everything the state depends on (options, start, photos, model): a
//! checkpoint of another task is refused. Resuming is bit-equal on the CPU in f32, because nothing else is
//! carried from one iteration to the next.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::adam::Adam;
use super::watch::Watch;

const MAGIC: &[u8; 8] = b"LIKECKPT";
/// The newest version that is read; the one that is written where there is a watch.
pub const VERSION: u16 = 2;
/// The version without a watch.
const UNWATCHED: u16 = 1;
const HEADER: usize = 8 + 2 + 32 + 8;

/// What an inversion carries from one iteration to the next.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Iterations made.
    pub step: u32,
    /// Smoothed loss after them.
    pub smoothed_loss: f64,
    /// Loss of the last one.
    pub last_loss: f64,
    /// `d` (`none`: `v`), K x D.
    pub direction: Vec<Vec<f32>>,
    /// `n`, K; empty but for `log_norm`.
    pub log_norm: Vec<f32>,
    /// Adam over the directions, in order.
    pub direction_adam: Adam,
    /// Adam over the log-norms.
    pub norm_adam: Adam,
    /// |v0| of each vector, for whoever looks into the file.
    pub start_norms: Vec<f64>,
    /// The judgement on the fixed batch, where there is one; written after the rest.
    #[serde(skip)]
    pub watch: Option<Watch>,
}

/// Why bytes cannot be resumed from.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// Something else altogether.
    #[error("these {0} bytes are no inversion checkpoint")]
    NotACheckpoint(usize),
    /// Written by another release.
    #[error(
        "the checkpoint has version {0}, this worker reads version {VERSION}: start again, or use the release that wrote it"
    )]
    Version(u16),
    /// Belongs to another task.
    #[error("the checkpoint belongs to other options, photos, start or model: it cannot be resumed here")]
    Foreign,
    /// Damaged on the way.
    #[error("the checkpoint is damaged: {0}")]
    Damaged(String),
}

impl Checkpoint {
    /// The bytes, bound to what the state depends on.
    pub fn to_bytes(&self, binding: &[u8; 32]) -> Result<Vec<u8>, CheckpointError> {
        let damaged = |error: postcard::Error| CheckpointError::Damaged(error.to_string());
        let mut payload = postcard::to_stdvec(self).map_err(damaged)?;
        let version = if self.watch.is_some() { VERSION } else { UNWATCHED };
        if let Some(watch) = &self.watch {
            payload.extend(postcard::to_stdvec(watch).map_err(damaged)?);
        }
        let mut bytes = Vec::with_capacity(HEADER + payload.len());
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&version.to_le_bytes());
        bytes.extend_from_slice(binding);
        bytes.extend_from_slice(&checksum(&payload));
        bytes.extend_from_slice(&payload);
        Ok(bytes)
    }

    /// Reads what [`Checkpoint::to_bytes`] wrote under the same binding.
    pub fn from_bytes(bytes: &[u8], binding: &[u8; 32]) -> Result<Self, CheckpointError> {
        let not_one = CheckpointError::NotACheckpoint(bytes.len());
        let rest = bytes.strip_prefix(MAGIC).ok_or(not_one.clone())?;
        let (version, rest) = rest.split_first_chunk::<2>().ok_or(not_one.clone())?;
        let version = u16::from_le_bytes(*version);
        if !(UNWATCHED..=VERSION).contains(&version) {
            return Err(CheckpointError::Version(version));
        }
        let (bound_to, rest) = rest.split_first_chunk::<32>().ok_or(not_one.clone())?;
        let (sum, payload) = rest.split_first_chunk::<8>().ok_or(not_one)?;
        if *sum != checksum(payload) {
            return Err(CheckpointError::Damaged("its checksum does not agree".to_owned()));
        }
        if bound_to != binding {
            return Err(CheckpointError::Foreign);
        }
        let damaged = |error: postcard::Error| CheckpointError::Damaged(error.to_string());
        let (checkpoint, rest) = postcard::take_from_bytes::<Self>(payload).map_err(damaged)?;
        let watch = match version {
            UNWATCHED => None,
            _ => Some(postcard::from_bytes(rest).map_err(damaged)?),
        };
        Ok(Self { watch, ..checkpoint })
    }

    /// What the checkpoint is bound to.
    pub fn peek_binding(bytes: &[u8]) -> Option<[u8; 32]> {
        let rest = bytes.strip_prefix(MAGIC)?.get(size_of::<u16>()..)?;
        rest.first_chunk::<32>().copied()
    }

    /// Iterations made, read without knowing what the checkpoint is bound to.
    pub fn peek_step(bytes: &[u8]) -> Option<u32> {
        let payload = bytes.strip_prefix(MAGIC)?.get(HEADER - MAGIC.len()..)?;
        postcard::take_from_bytes::<u32>(payload).ok().map(|(step, _)| step)
    }
}

fn checksum(payload: &[u8]) -> [u8; 8] {
    let digest: [u8; 32] = Sha256::digest(payload).into();
    std::array::from_fn(|i| digest[i])
}

#[cfg(test)]
mod tests {
    use super::super::adam::AdamOptions;
    use super::super::early_stop::EarlyStopOptions;
    use super::super::refinements::Refinements;
    use super::*;
    use likeness_shared::limits::STOP_WINDOWS;

    const BINDING: [u8; 32] = [7; 32];

    fn checkpoint(vectors: usize, width: usize) -> Checkpoint {
        Checkpoint {
            step: 123,
            smoothed_loss: 0.25,
            last_loss: 0.5,
            direction: vec![vec![0.1; width]; vectors],
            log_norm: vec![1.5; vectors],
            direction_adam: Adam::new(AdamOptions::default(), vectors * width),
            norm_adam: Adam::new(AdamOptions::default(), vectors),
            start_norms: vec![2.0; vectors],
            watch: None,
        }
    }

    #[test]
    fn it_reads_what_it_wrote_and_fits_into_a_heartbeat() {
        let checkpoint = checkpoint(2, 1024);
        let bytes = checkpoint.to_bytes(&BINDING).unwrap();
        assert!(bytes.len() < 26 * 1024, "{} bytes", bytes.len());
        assert_eq!(Checkpoint::from_bytes(&bytes, &BINDING), Ok(checkpoint));
        assert_eq!(Checkpoint::peek_step(&bytes), Some(123));
        assert_eq!(Checkpoint::peek_binding(&bytes), Some(BINDING));
    }

    #[test]
    fn one_without_a_watch_keeps_the_first_version_and_one_with_everything_still_fits() {
        let plain = checkpoint(2, 1024);
        assert_eq!(plain.to_bytes(&BINDING).unwrap()[8..10], UNWATCHED.to_le_bytes());
        let refinements = Refinements {
            early_stop: Some(EarlyStopOptions { window: *STOP_WINDOWS.end(), ..EarlyStopOptions::default() }),
            keep_best_every: Some(1),
            ..Refinements::default()
        };
        let mut watch = Watch::new(&refinements).unwrap();
        for step in 1..=600 {
            let loss = 1.0 / f64::from(step);
            watch.observe(step, 1000, loss, || vec![vec![loss as f32; 1024]; 2]);
        }
        let full = Checkpoint { watch: Some(watch), ..plain };
        let bytes = full.to_bytes(&BINDING).unwrap();
        assert!(bytes.len() < 40 * 1024, "{} bytes", bytes.len());
        assert_eq!(bytes[8..10], VERSION.to_le_bytes());
        assert_eq!(Checkpoint::from_bytes(&bytes, &BINDING), Ok(full));
        assert_eq!(Checkpoint::peek_step(&bytes), Some(123));
    }

    #[test]
    fn foreign_damaged_and_unknown_bytes_are_told_apart() {
        let bytes = checkpoint(1, 8).to_bytes(&BINDING).unwrap();
        assert_eq!(Checkpoint::from_bytes(&bytes, &[8; 32]), Err(CheckpointError::Foreign));
        let cut = &bytes[..bytes.len() - 1];
        assert!(matches!(Checkpoint::from_bytes(cut, &BINDING), Err(CheckpointError::Damaged(_))));
        let mut flipped = bytes.clone();
        flipped[60] ^= 1;
        assert!(matches!(Checkpoint::from_bytes(&flipped, &BINDING), Err(CheckpointError::Damaged(_))));
        let mut newer = bytes.clone();
        newer[8] = 9;
        assert_eq!(Checkpoint::from_bytes(&newer, &BINDING), Err(CheckpointError::Version(9)));
        for other in [&b""[..], b"LIKECKPT", b"PNG and so on, and so on and so on and so on and so on"] {
            assert_eq!(
                Checkpoint::from_bytes(other, &BINDING),
                Err(CheckpointError::NotACheckpoint(other.len()))
            );
        }
    }
}
