//! The clock: how long a piece of work takes, how often it is done, and what becomes of it where memory runs out.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use burn::tensor::{Device, FloatDType, Tensor};
use likeness_worker::panics::{is_out_of_memory, panic_message};

use super::gauge::Gauge;
use crate::exit::sentence;

/// Passes before the first that counts: the first compiles and tunes, the second fills the pools.
pub(super) const WARM_UPS: u32 = 2;
/// A figure is of so many at least, however long they take.
const LEAST_REPEATS: usize = 3;

/// How often work is done.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timing {
    /// So often, and
    pub(super) repeats: u32,
    /// no longer than this.
    pub(super) at_most: Duration,
}

/// Work that was not done to its end.
#[derive(Debug, PartialEq, thiserror::Error)]
pub(super) enum Trouble {
    /// The device has too little memory.
    #[error("out of memory")]
    OutOfMemory,
    /// It went wrong.
    #[error("{0}")]
    Failed(String),
}

/// The time of each repeat, and the most memory that was taken.
#[derive(Debug, PartialEq)]
pub(super) struct Times {
    pub(super) times: Vec<Duration>,
    pub(super) peak: Option<u64>,
}

/// Does work in which burn may panic, as it does where memory runs out and where a device breaks.
pub(super) fn guarded<T>(work: impl FnOnce() -> anyhow::Result<T>) -> Result<T, Trouble> {
    let message = match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(made)) => return Ok(made),
        Ok(Err(error)) => sentence(&error),
        Err(panic) => panic_message(panic.as_ref()),
    };
    Err(if is_out_of_memory(&message) { Trouble::OutOfMemory } else { Trouble::Failed(in_a_line(&message)) })
}

/// What a device says, in one line and without the trace that comes after it.
fn in_a_line(message: &str) -> String {
    let said = message.lines().map(str::trim).take_while(|line| !line.starts_with("Backtrace"));
    said.filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}

impl Timing {
    /// Makes the work ready and does it, first to warm up and then by the clock, each time until the device is done.
    pub(super) fn time<W>(
        self,
        device: &Device,
        warm_ups: u32,
        make: impl FnOnce() -> anyhow::Result<W>,
    ) -> Result<Times, Trouble>
    where
        W: FnMut() -> anyhow::Result<()>,
    {
        let mut gauge = Gauge::begin(device);
        guarded(|| {
            let mut work = make()?;
            for _ in 0..warm_ups {
                work()?;
            }
            device.sync()?;
            let began = Instant::now();
            let mut times = Vec::new();
            while self.goes_on(times.len(), began.elapsed()) {
                times.push(timed(device, &mut work)?);
                gauge.look(device);
            }
            Ok(Times { times, peak: gauge.peak() })
        })
    }

    fn goes_on(self, made: usize, since: Duration) -> bool {
        made < self.repeats as usize && (made < LEAST_REPEATS || since < self.at_most)
    }
}

/// Waits until a tensor is worked out, by reading a number of it. A card that could not work it out, such as for want of
/// memory, tells whoever reads it; waiting alone does not hear of it. What nobody reads may not be worked out at all.
pub(super) fn wait_for<const D: usize>(tensor: Tensor<D>) -> anyhow::Result<()> {
    let first = tensor.slice(std::array::from_fn::<_, D, _>(|_| 0..1)).cast(FloatDType::F32);
    let number = first.try_into_data()?.try_to_vec::<f32>();
    number.map(drop).map_err(|error| anyhow::anyhow!("a number cannot be read: {error:?}"))
}

/// How long it takes until the device is done with it.
pub(super) fn timed(
    device: &Device,
    work: &mut impl FnMut() -> anyhow::Result<()>,
) -> anyhow::Result<Duration> {
    let before = Instant::now();
    work()?;
    device.sync()?;
    Ok(before.elapsed())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMING: Timing = Timing { repeats: 4, at_most: Duration::from_secs(60) };

    fn outcome(work: impl FnMut() -> anyhow::Result<()>) -> Result<Times, Trouble> {
        TIMING.time(&Device::flex(), 2, || Ok(work))
    }

    #[test]
    fn warm_ups_are_not_counted_and_slow_work_is_repeated_three_times() {
        let mut done = 0;
        let timed = outcome(|| {
            done += 1;
            Ok(())
        });
        assert_eq!((timed.unwrap().times.len(), done), (4, 6));
        let slow = Timing { repeats: 100, at_most: Duration::ZERO };
        let timed = slow.time(&Device::flex(), 0, || Ok(|| Ok(())));
        assert_eq!(timed.unwrap().times.len(), 3);
    }

    #[test]
    fn want_of_memory_is_told_from_other_trouble() {
        let full = outcome(|| panic!("CUDA_ERROR_OUT_OF_MEMORY"));
        assert_eq!(full, Err(Trouble::OutOfMemory));
        assert_eq!(outcome(|| anyhow::bail!("an out of memory error")), Err(Trouble::OutOfMemory));
        let broken = outcome(|| panic!("an illegal\n  address\nBacktrace:\n 0: main"));
        assert_eq!(broken, Err(Trouble::Failed("an illegal address".to_owned())));
    }

    #[test]
    fn the_memory_of_the_work_shows() {
        let timed = outcome(|| {
            let used = vec![1_u8; 64 << 20];
            anyhow::ensure!(used.iter().step_by(4096).all(|byte| *byte == 1));
            Ok(())
        });
        let peak = timed.unwrap().peak;
        assert!(!cfg!(target_os = "linux") || peak.is_some_and(|peak| peak > 64 << 20), "{peak:?}");
    }
}
