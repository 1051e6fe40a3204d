//! Series: what a running task and a worker measure while they go on. For people who watch and for dashboards; nothing
//! depends on a point having arrived.
//!
//! Everything is bounded, and recording never waits: what there is no room for is dropped, the oldest first.
//! [`MemorySeries`] keeps the points in the process, [`RedisSeries`] in streams of a Redis.

mod memory;
pub mod names;
mod redis;

use std::collections::BTreeMap;
use std::time::SystemTime;

use crate::ids::{TaskId, WorkerId};
use crate::proto::{MetricPoint, Progress};

pub use memory::MemorySeries;
pub use redis::{RedisSeries, SeriesWriter};

/// Whose series.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Subject {
    /// A task's.
    Task(TaskId),
    /// A worker's.
    Worker(WorkerId),
}

impl std::fmt::Display for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Task(task) => write!(f, "task:{task}"),
            Self::Worker(worker) => write!(f, "worker:{worker}"),
        }
    }
}

/// What was measured at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// The task's step; 0 for a worker.
    pub step: u32,
    /// By the clock of whoever measured.
    pub time: SystemTime,
    /// By the names of [`names`]; only finite numbers.
    pub values: BTreeMap<String, f64>,
}

impl Point {
    /// A point of this moment. Values that are no numbers are left out.
    pub fn at_this_moment<'n>(step: u32, values: impl IntoIterator<Item = (&'n str, f64)>) -> Self {
        let finite = values.into_iter().filter(|(_, value)| value.is_finite());
        let values = finite.map(|(name, value)| (name.to_owned(), value)).collect();
        Self { step, time: SystemTime::now(), values }
    }

    /// What a progress report says of a training. `None` where it says nothing worth a point.
    #[must_use]
    pub fn of_progress(progress: &Progress) -> Option<Self> {
        let measured = [
            (names::LOSS, progress.loss),
            (names::NORM_RATIO, progress.norm_ratio),
            (names::STEPS_PER_SECOND, progress.steps_per_second),
        ];
        // a field that was not measured is 0 on the wire
        let point =
            Self::at_this_moment(progress.step, measured.into_iter().filter(|(_, value)| *value != 0.0));
        (!point.values.is_empty()).then_some(point)
    }
}

impl From<Point> for MetricPoint {
    fn from(point: Point) -> Self {
        Self { step: point.step, time: Some(point.time.into()), values: point.values.into_iter().collect() }
    }
}

/// Up to where a series has been read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Cursor {
    pub(crate) major: u64,
    pub(crate) minor: u64,
}

/// Points, oldest first, and where they end.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Points {
    /// The points.
    pub points: Vec<Point>,
    /// For the next read.
    pub cursor: Cursor,
}

/// Why a series cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the series cannot be read: {0}")]
pub struct SeriesError(pub(crate) String);

/// Where points go and come from.
#[tonic::async_trait]
pub trait Series: std::fmt::Debug + Send + Sync + 'static {
    /// Takes a point over. Never waits and never fails.
    fn record(&self, subject: &Subject, point: Point);
    /// The newest points after `after`, at most `most`, oldest first. From the default cursor on: of the whole series.
    async fn read(&self, subject: &Subject, after: Cursor, most: usize) -> Result<Points, SeriesError>;
}
