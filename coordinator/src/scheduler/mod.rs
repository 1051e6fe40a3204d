//! Brings waiting tasks and free workers together.
//!
//! Which task is next is the store's decision ([`crate::store::TaskStore::claim`]); which workers have room is known
//! here. One loop asks the store on behalf of every worker with room, and is woken by what can change the answer: a
//! task that begins to wait, or a worker that gains room. Nothing here waits for a worker: one whose outbox is full
//! is cut, and its leases go back uncharged.

mod roster;

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use likeness_shared::proto::coordinator_message::Message;
use likeness_shared::proto::{Cancel, CancelMode, Lease, TaskState, lease};
use tokio::sync::broadcast::error::RecvError;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

pub(crate) use roster::{Member, Outbound, Roster, SessionId};

use crate::store::record::Spec;
use crate::store::{Claimed, StoreError, StoreEvent, TaskEvent, TaskStore};

/// Tasks that one worker is given in one round, so that a claim stays short.
const MOST_A_ROUND: usize = 16;
/// After a failure of the store, before it is asked again.
const RETRY_PAUSE: Duration = Duration::from_millis(200);

/// Leases tasks to the workers in the roster.
#[derive(Debug)]
pub(crate) struct Scheduler {
    store: Arc<dyn TaskStore>,
    roster: Arc<Roster>,
}

impl Scheduler {
    pub(crate) fn new(store: Arc<dyn TaskStore>, roster: Arc<Roster>) -> Self {
        Self { store, roster }
    }

    /// Runs until `stop`.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let mut events = self.store.events();
        let deliver = async {
            loop {
                match events.recv().await {
                    Ok(StoreEvent::Changed(event)) => self.on_event(&event),
                    // what was missed may have been a task that waits
                    Ok(StoreEvent::Missed) | Err(RecvError::Lagged(_)) => self.roster.wake(),
                    Err(RecvError::Closed) => std::future::pending().await,
                }
            }
        };
        let assign = async {
            loop {
                if let Err(error) = self.round().await {
                    tracing::warn!(%error, "cannot claim tasks");
                    sleep(RETRY_PAUSE).await;
                    self.roster.wake();
                }
                self.roster.woken().await;
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = deliver => {}
            () = assign => {}
        }
    }

    fn on_event(&self, event: &TaskEvent) {
        if event.state == TaskState::Queued {
            self.roster.wake();
        }
        if let (Some(asked), Some((worker, fence))) = (event.asked, &event.held_by) {
            let mode = CancelMode::from(asked).into();
            let cancel = Cancel { task_id: event.task.to_string(), fence: fence.0, mode };
            self.roster.send(worker, Message::Cancel(cancel));
        }
    }

    /// Gives every worker with room what waits for it.
    async fn round(&self) -> Result<(), StoreError> {
        let free = self.roster.with_room();
        let mut claims: FuturesUnordered<_> =
            free.into_iter().map(|(member, room)| self.assign(member, room.min(MOST_A_ROUND))).collect();
        let mut result = Ok(());
        while let Some(claimed) = claims.next().await {
            match claimed {
                Ok(given) if given == MOST_A_ROUND => self.roster.wake(),
                Ok(_) => {}
                Err(error) => result = Err(error),
            }
        }
        result
    }

    async fn assign(&self, member: Member, room: usize) -> Result<usize, StoreError> {
        let claimed = self.store.claim(member.claimant.clone(), room).await?;
        let given = claimed.len();
        let mut undelivered = Vec::new();
        for claimed in claimed {
            let (task, fence) = (claimed.task.id, claimed.fence);
            if self.roster.deliver(&member, task, fence, Message::Lease(lease(claimed))) {
                tracing::debug!(%task, %fence, worker = %member.claimant.worker, "task leased");
            } else {
                undelivered.push((task, fence));
            }
        }
        if !undelivered.is_empty() {
            tracing::warn!(worker = %member.claimant.worker, leases = undelivered.len(), "leases not delivered");
            self.store.undelivered(member.claimant.worker, undelivered).await?;
        }
        Ok(given)
    }
}

fn lease(claimed: Claimed) -> Lease {
    let Claimed { task, fence, checkpoint, people } = claimed;
    Lease {
        task_id: task.id.to_string(),
        fence: fence.0,
        tenant: task.owner.tenant.to_string(),
        user: task.owner.user.to_string(),
        spec: Some(match task.spec {
            Spec::Inversion(spec) => lease::Spec::Inversion(spec),
            Spec::Generation(spec) => lease::Spec::Generation(spec),
        }),
        checkpoint: checkpoint.to_vec(),
        people,
        attempt: task.attempts.started,
        reseed: task.reseed,
    }
}
