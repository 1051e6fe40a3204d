//! Wakes those who follow a task when it changes.
//!
//! A follower is told only that something changed and reads the task anew: a slow one skips states, and never holds
//! up anybody.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use likeness_shared::ids::TaskId;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, watch};
use tokio_util::sync::CancellationToken;

use crate::store::StoreEvent;

/// Followed tasks, and the bell of each.
#[derive(Debug, Default)]
pub(crate) struct TaskFeed {
    bells: Mutex<HashMap<TaskId, watch::Sender<()>>>,
}

impl TaskFeed {
    fn bells(&self) -> MutexGuard<'_, HashMap<TaskId, watch::Sender<()>>> {
        self.bells.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Rings for every change of `task` from this moment on. Subscribe first, then read the task.
    pub(crate) fn follow(self: &Arc<Self>, task: TaskId) -> Follower {
        let bell = self.bells().entry(task).or_insert_with(|| watch::Sender::new(())).subscribe();
        Follower { feed: Arc::clone(self), task, bell }
    }

    /// Rings the bells until `stop`.
    pub(crate) async fn run(
        self: Arc<Self>,
        mut events: broadcast::Receiver<StoreEvent>,
        stop: CancellationToken,
    ) {
        loop {
            let event = tokio::select! {
                () = stop.cancelled() => return,
                event = events.recv() => event,
            };
            match event {
                Ok(StoreEvent::Changed(event)) => {
                    if let Some(bell) = self.bells().get(&event.task) {
                        bell.send_replace(());
                    }
                }
                Ok(StoreEvent::Missed) | Err(RecvError::Lagged(_)) => {
                    tracing::debug!("task feed has missed something, every follower looks anew");
                    for bell in self.bells().values() {
                        bell.send_replace(());
                    }
                }
                Err(RecvError::Closed) => return,
            }
        }
    }
}

/// One who follows a task.
#[derive(Debug)]
pub(crate) struct Follower {
    feed: Arc<TaskFeed>,
    task: TaskId,
    bell: watch::Receiver<()>,
}

impl Follower {
    /// Resolves after a change since the last call (or since `follow`).
    pub(crate) async fn changed(&mut self) {
        if self.bell.changed().await.is_err() {
            // the bell goes only with its last follower, and this one lives
            std::future::pending().await
        }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let mut bells = self.feed.bells();
        // this follower's own receiver is still counted
        if bells.get(&self.task).is_some_and(|bell| bell.receiver_count() <= 1) {
            bells.remove(&self.task);
        }
    }
}
