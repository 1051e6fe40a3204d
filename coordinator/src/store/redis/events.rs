//! Changes of tasks as the server's stream has them. Every coordinator follows the stream, over a connection of its
//! own, and tells its own listeners.
//!
//! Entries are numbered without gaps, so a follower sees when it has missed some: it was cut off, the stream was
//! trimmed before it came, or the server came back with older data. Then its listeners are told that they have to
//! look for themselves.

use std::time::Duration;

use likeness_shared::ids::{Fence, TaskId, WorkerId};
use likeness_shared::proto::TaskState;
use redis::Value;
use redis::streams::{StreamId, StreamRangeReply, StreamReadReply};
use serde::{Deserialize, Serialize};
use tokio::sync::{broadcast, watch};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::faults::unreadable;
use super::keys::Keys;
use super::link::{Exchange, Link};
use super::load::{read, single, values};
use crate::store::transition::Asked;
use crate::store::{StoreError, StoreEvent, TaskEvent, codec};

/// How long one look at the stream waits for something new.
pub(super) const LOOK: Duration = Duration::from_secs(1);
/// Changes taken in one look.
const MOST_A_LOOK: usize = 512;
/// After a failure, before the next look.
const RETRY_PAUSE: Duration = Duration::from_millis(100);

/// A change as it is written.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Told {
    task: [u8; 16],
    revision: u64,
    state: i32,
    held_by: Option<(WorkerId, Fence)>,
    asked: Option<Asked>,
}

impl From<TaskEvent> for Told {
    fn from(event: TaskEvent) -> Self {
        Self {
            task: event.task.to_bytes(),
            revision: event.revision,
            state: event.state.into(),
            held_by: event.held_by,
            asked: event.asked,
        }
    }
}

impl From<Told> for TaskEvent {
    fn from(told: Told) -> Self {
        Self {
            task: TaskId::from_bytes(told.task),
            revision: told.revision,
            state: TaskState::try_from(told.state).unwrap_or(TaskState::Unspecified),
            held_by: told.held_by,
            asked: told.asked,
        }
    }
}

/// Follows the stream until it is told to stop.
pub(super) struct Follower {
    pub(super) link: Link,
    pub(super) keys: Keys,
    pub(super) events: broadcast::Sender<StoreEvent>,
    /// Becomes true once nothing that happens from there on is missed unnoticed.
    pub(super) follows: watch::Sender<bool>,
    pub(super) stop: CancellationToken,
}

impl Follower {
    pub(super) async fn run(self) {
        let stop = self.stop.clone();
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.follow() => {}
        }
    }

    async fn follow(self) {
        let mut last = None;
        loop {
            if let Err(error) = self.look(&mut last).await {
                tracing::warn!(%error, "cannot follow the changes of tasks");
                // whatever happens until the stream can be read again may be missed
                last = None;
                sleep(RETRY_PAUSE).await;
            }
        }
    }

    /// Waits for changes and tells them. `last` = number of the newest that was told.
    async fn look(&self, last: &mut Option<u64>) -> Result<(), StoreError> {
        // every look is asked once: what a new connection leads to may be another server, or older data
        let Some(told) = *last else {
            *last = Some(self.newest().await?);
            if self.follows.send_replace(true) {
                self.tell(StoreEvent::Missed);
            }
            return Ok(());
        };
        let milliseconds = u64::try_from(LOOK.as_millis()).unwrap_or(u64::MAX);
        let mut pipeline = redis::pipe();
        pipeline.cmd("XREAD").arg("COUNT").arg(MOST_A_LOOK).arg("BLOCK").arg(milliseconds);
        pipeline.arg("STREAMS").arg(self.keys.events()).arg(format!("{told}-1"));
        let answer = values(self.link.ask_once(Exchange::Commands(&pipeline)).await?)?;
        let answer = answer.into_iter().next().unwrap_or(Value::Nil);
        let found: Option<StreamReadReply> = read(answer)?;
        let entries: Vec<StreamId> =
            found.into_iter().flat_map(|reply| reply.keys).flat_map(|stream| stream.ids).collect();
        if entries.is_empty() && self.newest().await? < told {
            // the server came back with older data
            *last = Some(self.newest().await?);
            self.tell(StoreEvent::Missed);
        }
        for entry in entries {
            let number = number(&entry)?;
            if last.is_none_or(|last| last + 1 != number) {
                self.tell(StoreEvent::Missed);
            }
            *last = Some(number);
            let event: Option<Vec<u8>> = entry.get("event");
            let event = event.ok_or_else(|| unreadable("an event is empty"))?;
            self.tell(StoreEvent::Changed(codec::decode::<Told>(&event)?.into()));
        }
        Ok(())
    }

    fn tell(&self, event: StoreEvent) {
        // nobody need be listening
        drop(self.events.send(event));
    }

    /// Number of the newest entry; 0 = there is none.
    async fn newest(&self) -> Result<u64, StoreError> {
        let mut pipeline = redis::pipe();
        pipeline.cmd("XREVRANGE").arg(self.keys.events()).arg("+").arg("-").arg("COUNT").arg(1);
        let newest: StreamRangeReply = single(self.link.ask_once(Exchange::Commands(&pipeline)).await?)?;
        newest.ids.first().map_or(Ok(0), number)
    }
}

fn number(entry: &StreamId) -> Result<u64, StoreError> {
    let number = entry.id.split('-').next().and_then(|number| number.parse().ok());
    number.ok_or_else(|| unreadable(format!("{} is no number of an event", entry.id)))
}
