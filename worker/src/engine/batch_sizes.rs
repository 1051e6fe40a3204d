//! How many rows a pass should have: as many as make a row cheaper, measured as the passes are made.
//!
//! Sizes go up in powers of two from [`FIRST`]. A size is tried once there are rows for it; it is kept where a row in it
//! costs less than in the size before, and where the pass stays shorter than the longest one allowed, so that cancels and
//! other tasks never wait long. Nothing is tried that memory would not hold: what passes of one size have needed says
//! what larger ones will. A device that runs out of memory all the same halves the limit for good.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use super::machine::{Class, Memory, Stage};

/// The size that is taken before anything is measured: one task's usual rows.
pub(super) const FIRST: u32 = 8;
/// No pass is larger.
const MOST: u32 = 256;
/// A larger size must make a row cheaper by this much.
const WORTH: f64 = 0.97;
/// Weight of the newest measurement.
const NEWEST: f64 = 0.2;

/// Sizes of all stages and classes.
#[derive(Debug)]
pub(super) struct BatchSizes {
    longest_pass: Duration,
    of: HashMap<(Stage, Class), Sizes>,
}

#[derive(Debug, Default)]
struct Sizes {
    /// Seconds a row, by the power of two that the pass was nearest to from above. `None` after the first pass of a size,
    /// which also tunes kernels and is not counted.
    measured: BTreeMap<u32, Option<f64>>,
    /// The device's memory after the largest pass so far, and that pass's size.
    memory: Option<(u32, Memory)>,
    /// What memory allows, where that was met.
    limit: Option<u32>,
}

impl BatchSizes {
    pub(super) fn new(longest_pass: Duration) -> Self {
        Self { longest_pass, of: HashMap::new() }
    }

    /// Rows to fill a pass of this stage and class to.
    pub(super) fn best(&self, stage: Stage, class: Class) -> u32 {
        let Some(sizes) = self.of.get(&(stage, class)) else { return FIRST };
        let seconds = |size: u32| sizes.measured.get(&size).copied().flatten();
        let short = |size: u32, seconds_a_row: f64| {
            f64::from(size) * seconds_a_row <= self.longest_pass.as_secs_f64()
        };
        let holds = |size: u32| sizes.memory.is_none_or(|measured| fits(measured, size));
        let mut best = FIRST;
        while best < MOST {
            let Some(row) = seconds(best) else { break };
            let larger = best * 2;
            match seconds(larger) {
                // worth a try
                None if short(larger, row) && holds(larger) => {
                    best = larger;
                    break;
                }
                Some(row_in_larger) if row_in_larger < row * WORTH && short(larger, row_in_larger) => {
                    best = larger;
                }
                _ => break,
            }
        }
        best.min(self.limit(stage, class))
    }

    /// Rows that may be on the device at once.
    pub(super) fn limit(&self, stage: Stage, class: Class) -> u32 {
        self.of.get(&(stage, class)).and_then(|sizes| sizes.limit).unwrap_or(MOST)
    }

    /// A pass of so many rows took so long, and left the device's memory so, which is asked where it says something new.
    pub(super) fn measured(
        &mut self,
        stage: Stage,
        class: Class,
        rows: u32,
        took: Duration,
        memory: impl FnOnce() -> Option<Memory>,
    ) {
        let Sizes { measured, memory: of_largest, .. } = self.of.entry((stage, class)).or_default();
        if of_largest.is_none_or(|(largest, _)| rows > largest)
            && let Some(memory) = memory()
        {
            *of_largest = Some((rows, memory));
        }
        let seconds = took.as_secs_f64() / f64::from(rows.max(1));
        match measured.get_mut(&rows.next_power_of_two()) {
            None => {
                measured.insert(rows.next_power_of_two(), None);
            }
            Some(mean @ None) => *mean = Some(seconds),
            Some(Some(mean)) => *mean += NEWEST * (seconds - *mean),
        }
    }

    /// A pass of so many rows did not fit: half of them may. False where there is nothing left to halve.
    pub(super) fn shrink(&mut self, stage: Stage, class: Class, rows: u32) -> bool {
        let tried = rows.min(self.limit(stage, class));
        let limit = (tried / 2).max(1);
        self.of.entry((stage, class)).or_default().limit = Some(limit);
        tracing::warn!(?stage, rows = tried, limit, "device is out of memory, passes are made smaller");
        tried > 1
    }
}

/// Whether memory holds a pass of `size` rows, if what one of `rows` rows needed grows with the rows.
fn fits((rows, memory): (u32, Memory), size: u32) -> bool {
    let Memory { base, peak, budget } = memory;
    let needed = peak.saturating_sub(base) as f64 / f64::from(rows.max(1)) * f64::from(size);
    base as f64 + needed <= budget as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLASS: Class = Class { model: 0, size: (64, 64) };

    /// Makes passes of the best size until it does not change any more; a row costs what `row` says for the size.
    fn settle(sizes: &mut BatchSizes, row: impl Fn(u32) -> f64) -> u32 {
        for _ in 0..50 {
            let rows = sizes.best(Stage::Train, CLASS);
            let took = Duration::from_secs_f64(row(rows) * f64::from(rows));
            sizes.measured(Stage::Train, CLASS, rows, took, || None);
        }
        sizes.best(Stage::Train, CLASS)
    }

    #[test]
    fn passes_grow_as_long_as_rows_get_cheaper() {
        let mut sizes = BatchSizes::new(Duration::from_secs(10));
        assert_eq!(sizes.best(Stage::Train, CLASS), FIRST);
        let launches_then_arithmetic = |rows: u32| 1e-3 + 32e-3 / f64::from(rows.min(64));
        assert_eq!(settle(&mut sizes, launches_then_arithmetic), 64);
        assert_eq!(sizes.best(Stage::Sample, CLASS), FIRST, "each stage has its own sizes");
    }

    #[test]
    fn passes_stay_short() {
        let mut sizes = BatchSizes::new(Duration::from_millis(500));
        assert_eq!(settle(&mut sizes, |rows| 25e-3 / f64::from(rows) + 20e-3), 16);
    }

    #[test]
    fn a_device_of_constant_cost_keeps_one_tasks_rows() {
        let mut sizes = BatchSizes::new(Duration::from_secs(10));
        assert_eq!(settle(&mut sizes, |_| 5e-3), FIRST);
    }

    #[test]
    fn nothing_is_tried_that_memory_would_not_hold() {
        let mut sizes = BatchSizes::new(Duration::from_secs(10));
        for _ in 0..50 {
            let rows = sizes.best(Stage::Train, CLASS);
            // 1 GiB of models, 200 MiB a row, 8 GiB in all
            let memory =
                Memory { base: 1 << 30, peak: (1 << 30) + u64::from(rows) * (200 << 20), budget: 8 << 30 };
            sizes.measured(Stage::Train, CLASS, rows, Duration::from_millis(100), || Some(memory));
            assert!(rows <= 32, "{rows} rows need more than there is");
        }
        assert_eq!(sizes.best(Stage::Train, CLASS), 32);
    }

    #[test]
    fn memory_that_ran_out_is_remembered() {
        let mut sizes = BatchSizes::new(Duration::from_secs(10));
        assert!(sizes.shrink(Stage::Train, CLASS, 24));
        assert_eq!((sizes.limit(Stage::Train, CLASS), sizes.best(Stage::Train, CLASS)), (12, 8));
        for limit in [6, 3, 1] {
            assert!(sizes.shrink(Stage::Train, CLASS, 24));
            assert_eq!(sizes.limit(Stage::Train, CLASS), limit);
        }
        assert!(!sizes.shrink(Stage::Train, CLASS, 24), "a row alone does not fit");
        assert_eq!(sizes.limit(Stage::Decode, CLASS), MOST);
    }
}
