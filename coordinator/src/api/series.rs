//! Where the points of running tasks come from, and how a watch reads them.
//!
//! In a fleet workers write their series to the Redis themselves. Where the store is a file, what beats report is kept
//! in this process. A watch without points is a watch all the same: a series that cannot be read is left out.

use std::sync::Arc;
use std::time::Duration;

use likeness_shared::ids::TaskId;
use likeness_shared::proto::{MetricPoint, Progress};
use likeness_shared::series::{Cursor, MemorySeries, Point, RedisSeries, Series, Subject};
use tokio::time::timeout;

/// Points that a watch begins with.
const FIRST: usize = 16;
/// Points in one message of a watch, at most.
const MOST: usize = 64;
/// For a series to be read while somebody waits.
const PATIENCE: Duration = Duration::from_millis(500);

/// The series of a fleet.
#[derive(Debug, Clone)]
pub(crate) struct TaskSeries {
    series: Arc<dyn Series>,
    from_beats: bool,
}

impl TaskSeries {
    /// Kept here, of what beats report.
    pub(crate) fn of_beats() -> Self {
        Self { series: Arc::new(MemorySeries::default()), from_beats: true }
    }

    /// Written by the workers.
    pub(crate) fn of_workers(series: RedisSeries) -> Self {
        Self { series: Arc::new(series), from_beats: false }
    }

    /// A report that came with a beat.
    pub(super) fn reported(&self, task: TaskId, progress: &Progress) {
        if let Some(point) = Point::of_progress(progress).filter(|_| self.from_beats) {
            self.series.record(&Subject::Task(task), point);
        }
    }

    /// Reads on; begins with the newest few.
    pub(super) async fn read_on(&self, task: TaskId, cursor: &mut Cursor) -> Vec<MetricPoint> {
        let most = if *cursor == Cursor::default() { FIRST } else { MOST };
        match timeout(PATIENCE, self.series.read(&Subject::Task(task), *cursor, most)).await {
            Ok(Ok(found)) => {
                *cursor = found.cursor;
                found.points.into_iter().map(MetricPoint::from).collect()
            }
            Ok(Err(error)) => {
                tracing::debug!(%task, %error, "a watch goes on without its series");
                Vec::new()
            }
            Err(_) => Vec::new(),
        }
    }
}
