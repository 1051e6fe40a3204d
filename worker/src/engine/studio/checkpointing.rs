//! Whether training passes keep the UNet's activations for the way back, or work them out again there: a fraction of the
//! memory, half as much work again, the same results.

use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Serialize};

use crate::engine::machine::{PassError, Stage};

/// When activations are worked out again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum ActivationCheckpointing {
    /// From the moment on at which a single row does not fit otherwise.
    #[default]
    Auto,
    /// In every training pass.
    Always,
    /// Never: what does not fit fails.
    Never,
}

/// Not a rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("activation_checkpointing {0:?} is not known: use \"auto\", \"always\" or \"never\"")]
pub struct UnknownCheckpointing(String);

impl FromStr for ActivationCheckpointing {
    type Err = UnknownCheckpointing;

    fn from_str(text: &str) -> Result<Self, UnknownCheckpointing> {
        match text {
            "auto" => Ok(Self::Auto),
            "always" => Ok(Self::Always),
            "never" => Ok(Self::Never),
            other => Err(UnknownCheckpointing(other.to_owned())),
        }
    }
}

impl TryFrom<String> for ActivationCheckpointing {
    type Error = UnknownCheckpointing;

    fn try_from(text: String) -> Result<Self, UnknownCheckpointing> {
        text.parse()
    }
}

impl From<ActivationCheckpointing> for String {
    fn from(rule: ActivationCheckpointing) -> Self {
        rule.to_string()
    }
}

impl fmt::Display for ActivationCheckpointing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Always => "always",
            Self::Never => "never",
        })
    }
}

/// The rule and what has come of it.
#[derive(Debug)]
pub(super) struct Checkpointing {
    rule: ActivationCheckpointing,
    on: AtomicBool,
}

impl Checkpointing {
    pub(super) fn new(rule: ActivationCheckpointing) -> Self {
        Self { rule, on: AtomicBool::new(rule == ActivationCheckpointing::Always) }
    }

    /// Makes a pass, given whether activations are worked out again, of which at most `rows` are on the device at once. One
    /// of single training rows that do not fit is made once more, and that and all others with activations worked out again.
    pub(super) fn make<T>(
        &self,
        stage: Stage,
        rows: u32,
        mut pass: impl FnMut(bool) -> Result<T, PassError>,
    ) -> Result<T, PassError> {
        match pass(self.on.load(Ordering::Relaxed)) {
            Err(PassError::OutOfMemory) if stage == Stage::Train && rows <= 1 && self.turn_on() => {
                tracing::warn!(
                    "device has not the memory to train one row, activations are worked out twice from now on: training \
                     takes about half as long again"
                );
                pass(true)
            }
            made => made,
        }
    }

    /// False where it is on already or must not be.
    fn turn_on(&self) -> bool {
        self.rule == ActivationCheckpointing::Auto && !self.on.swap(true, Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Passes of so many rows on a device where a row takes five units of `memory`, or one: whether each was made, and how each
    /// try was.
    fn passes(
        rule: ActivationCheckpointing,
        stage: Stage,
        rows: &[u32],
        memory: u32,
    ) -> (Vec<bool>, Vec<bool>) {
        let checkpointing = Checkpointing::new(rule);
        let mut tries = Vec::new();
        let made = rows.iter().map(|rows| {
            let pass = |checkpointed: bool| {
                tries.push(checkpointed);
                let needed = if checkpointed { *rows } else { 5 * rows };
                if needed <= memory { Ok(()) } else { Err(PassError::OutOfMemory) }
            };
            checkpointing.make(stage, *rows, pass).is_ok()
        });
        (made.collect(), tries)
    }

    #[test]
    fn by_itself_it_begins_where_a_single_row_does_not_fit() {
        use ActivationCheckpointing::Auto;
        // the engine halves its passes, and two rows fit
        assert_eq!(passes(Auto, Stage::Train, &[4, 2, 1], 10), (vec![false, true, true], vec![false; 3]));
        // one does not: it is tried again at once, and the next pass begins as that one ended
        let tries = vec![false, false, true, true];
        assert_eq!(passes(Auto, Stage::Train, &[2, 1, 3], 4), (vec![false, true, true], tries));
        // not even so: the end
        assert_eq!(passes(Auto, Stage::Train, &[1], 0), (vec![false], vec![false, true]));
        assert_eq!(passes(Auto, Stage::Decode, &[1], 0), (vec![false], vec![false]), "in training alone");
    }

    #[test]
    fn always_and_never_are_what_they_say() {
        assert_eq!(passes(ActivationCheckpointing::Always, Stage::Train, &[8], 8), (vec![true], vec![true]));
        let never = passes(ActivationCheckpointing::Never, Stage::Train, &[8, 1], 4);
        assert_eq!(never, (vec![false; 2], vec![false; 2]));
    }
}
