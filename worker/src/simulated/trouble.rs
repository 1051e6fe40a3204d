//! Trouble that a task asks a simulated device for: `fault:KIND[@STEP][xTIMES]` among the words of a generation's
//! prompt or of the phrase that an inversion starts from.
//!
//! | kind | what happens |
//! |---|---|
//! | `panic` | the device thread dies, and the supervisor builds it anew |
//! | `abort` | the whole process dies |
//! | `oom` | the device is out of memory |
//! | `nan` | the loss is not a number; with another seed it is one |
//! | `diverge` | the loss is not a number, with any seed |
//! | `fail` | the task fails, and would fail again |
//!
//! `@STEP`: before that step instead of the first one. `xTIMES`: only in the first so many attempts at the task.

use std::str::FromStr;

use crate::engine::Fault;

const PREFIX: &str = "fault:";

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Panic,
    Abort,
    OutOfMemory,
    NanLoss,
    Diverge,
    Fail,
}

/// What goes wrong, before which step, and in how many attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Trouble {
    kind: Kind,
    step: u32,
    times: u32,
}

impl Trouble {
    /// The trouble that a text asks for, if any; refuses one that is not known.
    pub(super) fn in_text(text: &str) -> Result<Option<Self>, Fault> {
        let word = text.split_whitespace().find_map(|word| word.strip_prefix(PREFIX));
        word.map(str::parse).transpose()
    }

    /// Whether it is to happen in the attempt of this number.
    pub(super) fn happens_in(self, attempt: u32, reseed: u32) -> bool {
        let another_seed_helps = self.kind == Kind::NanLoss && reseed > 0;
        attempt <= self.times && !another_seed_helps
    }

    /// Lets it happen, where `step` is the one that is to be made next.
    pub(super) fn strike(self, step: u32) -> Result<(), Fault> {
        if step < self.step {
            return Ok(());
        }
        match self.kind {
            Kind::Panic => {
                // unwinds as a failing kernel does, without the panic hook's lines on stderr
                std::panic::resume_unwind(Box::new("a simulated failure of the device".to_owned()))
            }
            Kind::Abort => std::process::abort(),
            Kind::OutOfMemory => Err(Fault::of_worker(
                "device_out_of_memory",
                "the simulated device is out of memory, as the task asked",
            )),
            Kind::NanLoss | Kind::Diverge => {
                let message = format!("the loss became NaN in iteration {step}, as the task asked");
                Err(Fault::passing("nan_loss", message))
            }
            Kind::Fail => Err(Fault::lasting("simulated_failure", "the task failed, as it asked")),
        }
    }
}

impl FromStr for Trouble {
    type Err = Fault;

    fn from_str(word: &str) -> Result<Self, Fault> {
        let refuse = || {
            let message = format!(
                "{PREFIX}{word} is no trouble that a simulated device knows: use panic, abort, oom, nan, diverge or \
                 fail, then @STEP and xTIMES where wanted"
            );
            Fault::lasting("bad_spec", message)
        };
        let letters = word.find(['@', 'x']).unwrap_or(word.len());
        let (name, rest) = word.split_at(letters);
        let (step, times) = match rest.split_once('x') {
            Some((step, times)) => (step, Some(times)),
            None => (rest, None),
        };
        let number = |text: &str| text.parse::<u32>().map_err(|_| refuse());
        let step = step.strip_prefix('@').map(number).transpose()?.unwrap_or(1);
        let times = times.map(number).transpose()?.unwrap_or(u32::MAX);
        let kind = match name {
            "panic" => Kind::Panic,
            "abort" => Kind::Abort,
            "oom" => Kind::OutOfMemory,
            "nan" => Kind::NanLoss,
            "diverge" => Kind::Diverge,
            "fail" => Kind::Fail,
            _ => return Err(refuse()),
        };
        Ok(Self { kind, step, times })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_is_found_among_words() {
        assert_eq!(Trouble::in_text("a photo of sks"), Ok(None));
        let found = Trouble::in_text("a photo fault:oom@10x2 of sks").unwrap().unwrap();
        assert_eq!(found, Trouble { kind: Kind::OutOfMemory, step: 10, times: 2 });
        let found = Trouble::in_text("fault:panicx1").unwrap().unwrap();
        assert_eq!(found, Trouble { kind: Kind::Panic, step: 1, times: 1 });
        assert!(Trouble::in_text("fault:fire").unwrap_err().message.contains("panic, abort"));
    }

    #[test]
    fn it_strikes_from_its_step_on_in_its_attempts() {
        let oom: Trouble = "oom@3x1".parse().unwrap();
        assert!(oom.strike(2).is_ok() && oom.strike(3).is_err());
        assert!(oom.happens_in(1, 0) && !oom.happens_in(2, 0));
        let nan: Trouble = "nan".parse().unwrap();
        assert!(nan.happens_in(9, 0) && !nan.happens_in(9, 1), "another seed helps");
        let diverge: Trouble = "diverge".parse().unwrap();
        assert!(diverge.happens_in(9, 1));
    }
}
