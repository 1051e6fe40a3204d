//! What this worker measures, on its way to the fleet's series. Nothing waits for it, and nothing depends on it.

use std::collections::HashMap;
use std::str::FromStr;
use std::time::{Duration, Instant};

use likeness_shared::ids::{TaskId, WorkerId};
use likeness_shared::proto::Progress;
use likeness_shared::redis_address::{Connector, Patience};
use likeness_shared::series::{Point, RedisSeries, Series, Subject, names};
use tokio::task::JoinSet;

use crate::config::WorkerConfig;

/// Between two points of one task.
const INTERVAL: Duration = Duration::from_millis(500);
/// For the series' Redis to connect, and to answer.
const PATIENCE: Patience = Patience { connect: Duration::from_secs(1), answer: Duration::from_secs(2) };
/// Tasks of which the last point is remembered.
const REMEMBERED: usize = 256;

/// Writes series, where a place for them is configured.
#[derive(Default)]
pub(super) struct SeriesReporter {
    open: Option<Open>,
}

struct Open {
    series: RedisSeries,
    worker: Subject,
    device_memory: u64,
    last: HashMap<TaskId, Instant>,
    /// Ends with the reporter.
    _writing: JoinSet<()>,
}

impl SeriesReporter {
    /// Writes nothing where nothing is configured, and says so where it cannot.
    pub(super) fn new(config: &WorkerConfig, worker_id: &str, device_memory: u64) -> Self {
        let Some(address) = config.metrics.clone() else { return Self::default() };
        let Ok(worker) = WorkerId::from_str(worker_id) else { return Self::default() };
        let connector = match Connector::new(address, "", PATIENCE) {
            Ok(connector) => connector,
            Err(error) => {
                tracing::warn!(%error, "series are not written");
                return Self::default();
            }
        };
        let series = RedisSeries::new(connector, &config.fleet);
        let mut writing = JoinSet::new();
        writing.spawn(series.writer().run());
        let (worker, last) = (Subject::Worker(worker), HashMap::new());
        Self { open: Some(Open { series, worker, device_memory, last, _writing: writing }) }
    }

    /// A task's newest report.
    pub(super) fn task(&mut self, task: TaskId, progress: &Progress, now: Instant) {
        let Some(open) = &mut self.open else { return };
        let too_soon = |last: &Instant| now.saturating_duration_since(*last) < INTERVAL;
        if open.last.get(&task).is_some_and(too_soon) {
            return;
        }
        if open.last.len() >= REMEMBERED {
            open.last.retain(|_, last| too_soon(last));
        }
        open.last.insert(task, now);
        if let Some(point) = Point::of_progress(progress) {
            open.series.record(&Subject::Task(task), point);
        }
    }

    /// What the worker is busy with.
    pub(super) fn worker(
        &self,
        held: usize,
        free_slots: u32,
        slots: u32,
        memory_used: impl FnOnce() -> Option<u64>,
    ) {
        let Some(open) = &self.open else { return };
        let busy = f64::from(slots.saturating_sub(free_slots)) / f64::from(slots.max(1));
        let mut values = vec![
            (names::BUSY_SHARE, busy),
            (names::TASKS_HELD, f64::from(u32::try_from(held).unwrap_or(u32::MAX))),
        ];
        if open.device_memory > 0 {
            #[allow(clippy::cast_precision_loss)] // no device has 2^53 bytes
            values.push((names::DEVICE_MEMORY_BYTES, open.device_memory as f64));
        }
        #[allow(clippy::cast_precision_loss)]
        values.extend(memory_used().map(|used| (names::DEVICE_MEMORY_USED_BYTES, used as f64)));
        open.series.record(&open.worker, Point::at_this_moment(0, values));
    }
}
