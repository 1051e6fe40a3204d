//! Series in a Redis: one stream for each subject (`XADD MAXLEN ~`), which goes a day after its last point.
//!
//! Recording puts a point into a bounded queue, from which [`SeriesWriter`] writes; while the server is away, or too
//! slow, the oldest points go. Fields of an entry: `step`, `time` (microseconds since 1970) and the values by name.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use ::redis::aio::MultiplexedConnection;
use ::redis::streams::{StreamId, StreamRangeReply};
use tokio::sync::Notify;
use tokio::time::sleep;

use super::{Cursor, Point, Points, Series, SeriesError, Subject};
use crate::redis_address::Connector;

/// Points that may wait to be written.
const QUEUE: usize = 1024;
/// Points written in one exchange.
const AT_ONCE: usize = 128;
/// Points kept of one subject, about.
const POINTS: usize = 2000;
/// How long a series outlives its last point.
const KEPT: Duration = Duration::from_secs(24 * 3600);
/// After a failure, before the next attempt.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// The series of one fleet.
#[derive(Clone)]
pub struct RedisSeries {
    shared: Arc<Shared>,
}

struct Shared {
    connector: Connector,
    prefix: String,
    queue: Mutex<VecDeque<(Subject, Point)>>,
    bell: Notify,
    connection: tokio::sync::Mutex<Option<MultiplexedConnection>>,
}

impl std::fmt::Debug for RedisSeries {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedisSeries").field("connector", &self.shared.connector).finish_non_exhaustive()
    }
}

impl RedisSeries {
    /// Connects when it is first read, or written by its [`SeriesWriter`].
    #[must_use]
    pub fn new(connector: Connector, fleet: &str) -> Self {
        let prefix = format!("{{likeness:{fleet}}}:series:");
        let shared = Shared {
            connector,
            prefix,
            queue: Mutex::default(),
            bell: Notify::new(),
            connection: tokio::sync::Mutex::default(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Writes what is recorded, for as long as it runs. One is enough.
    #[must_use]
    pub fn writer(&self) -> SeriesWriter {
        SeriesWriter { series: self.clone() }
    }

    fn key(&self, subject: &Subject) -> String {
        format!("{}{subject}", self.shared.prefix)
    }

    async fn ask<T: ::redis::FromRedisValue>(&self, pipeline: &::redis::Pipeline) -> Result<T, SeriesError> {
        let mut slot = self.shared.connection.lock().await;
        let mut connection = match slot.take() {
            Some(connection) => connection,
            None => {
                let connected = self.shared.connector.connect().await;
                connected.map_err(|error| SeriesError(error.to_string()))?.connection
            }
        };
        let answer = pipeline.query_async(&mut connection).await;
        // a connection that failed is not used again
        let answer = answer.map_err(|error| SeriesError(error.to_string()))?;
        *slot = Some(connection);
        Ok(answer)
    }
}

/// Carries recorded points to the server.
#[derive(Debug)]
pub struct SeriesWriter {
    series: RedisSeries,
}

impl SeriesWriter {
    /// Runs until it is dropped.
    pub async fn run(self) {
        let mut failing = false;
        loop {
            let batch = self.take();
            if batch.is_empty() {
                self.series.shared.bell.notified().await;
                continue;
            }
            match self.write(&batch).await {
                Ok(()) => failing = false,
                Err(error) => {
                    if !failing {
                        tracing::warn!(%error, "points of series are dropped until their Redis takes them again");
                    }
                    failing = true;
                    sleep(RETRY_PAUSE).await;
                }
            }
        }
    }

    fn take(&self) -> Vec<(Subject, Point)> {
        let mut queue = self.series.shared.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let count = queue.len().min(AT_ONCE);
        queue.drain(..count).collect()
    }

    async fn write(&self, batch: &[(Subject, Point)]) -> Result<(), SeriesError> {
        let mut pipeline = ::redis::pipe();
        for (subject, point) in batch {
            let time = point.time.duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
            pipeline.cmd("XADD").arg(self.series.key(subject)).arg("MAXLEN").arg("~").arg(POINTS).arg("*");
            pipeline.arg("step").arg(point.step).arg("time").arg(time.to_string()).ignore();
            for (name, value) in &point.values {
                pipeline.arg(name).arg(*value);
            }
        }
        let keys: BTreeSet<String> = batch.iter().map(|(subject, _)| self.series.key(subject)).collect();
        let milliseconds = u64::try_from(KEPT.as_millis()).unwrap_or(u64::MAX);
        for key in keys {
            pipeline.cmd("PEXPIRE").arg(key).arg(milliseconds).ignore();
        }
        self.series.ask::<()>(&pipeline).await
    }
}

#[tonic::async_trait]
impl Series for RedisSeries {
    fn record(&self, subject: &Subject, point: Point) {
        let mut queue = self.shared.queue.lock().unwrap_or_else(PoisonError::into_inner);
        if queue.len() >= QUEUE {
            queue.pop_front();
        }
        queue.push_back((subject.clone(), point));
        drop(queue);
        self.shared.bell.notify_one();
    }

    async fn read(&self, subject: &Subject, after: Cursor, most: usize) -> Result<Points, SeriesError> {
        let mut pipeline = ::redis::pipe();
        pipeline.cmd("XREVRANGE").arg(self.key(subject)).arg("+");
        pipeline.arg(format!("({}-{}", after.major, after.minor)).arg("COUNT").arg(most);
        let (reply,): (StreamRangeReply,) = self.ask(&pipeline).await?;
        let cursor = reply.ids.first().and_then(|newest| cursor(&newest.id)).unwrap_or(after);
        let points = reply.ids.iter().rev().map(point).collect();
        Ok(Points { points, cursor })
    }
}

fn cursor(id: &str) -> Option<Cursor> {
    let (major, minor) = id.split_once('-')?;
    Some(Cursor { major: major.parse().ok()?, minor: minor.parse().ok()? })
}

/// An entry as a point; fields that are no numbers are somebody else's.
fn point(entry: &StreamId) -> Point {
    let microseconds: u64 = entry.get("time").unwrap_or(0);
    let named = entry.map.keys().filter(|name| !["step", "time"].contains(&name.as_str()));
    let values: BTreeMap<String, f64> =
        named.filter_map(|name| Some((name.clone(), entry.get::<f64>(name)?))).collect();
    Point {
        step: entry.get("step").unwrap_or(0),
        time: UNIX_EPOCH + Duration::from_micros(microseconds),
        values,
    }
}
