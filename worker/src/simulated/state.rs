//! What a simulated inversion carries from one step to the next: how many steps were made, and a digest of each of
//! them in order. Resumed from its checkpoint it ends with the same digest as one that was never stopped.

use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::engine::Fault;

const MAGIC: &[u8; 8] = b"LIKESIM1";

/// Steps made, and their digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct State {
    pub(super) step: u32,
    pub(super) digest: [u8; 32],
}

impl State {
    /// Before the first step of a task that is made of `seed`.
    pub(super) fn new(seed: &[u8]) -> Self {
        Self { step: 0, digest: Sha256::digest(seed).into() }
    }

    /// Makes one step.
    pub(super) fn advance(&mut self) {
        self.step += 1;
        let mut next = Sha256::new();
        next.update(self.digest);
        next.update(self.step.to_le_bytes());
        self.digest = next.finalize().into();
    }

    pub(super) fn to_bytes(&self) -> Bytes {
        [&MAGIC[..], &self.step.to_le_bytes(), &self.digest].concat().into()
    }

    /// The state in a checkpoint of at most `total` steps.
    pub(super) fn from_bytes(bytes: &[u8], total: u32) -> Result<Self, Fault> {
        let parts = bytes.strip_prefix(MAGIC).and_then(<[u8]>::split_first_chunk::<4>);
        let read = parts.and_then(|(step, digest)| {
            Some(Self { step: u32::from_le_bytes(*step), digest: digest.try_into().ok()? })
        });
        read.filter(|state| state.step <= total).ok_or_else(|| {
            Fault::passing("bad_checkpoint", "the checkpoint is not of this task on a simulated device")
        })
    }
}
