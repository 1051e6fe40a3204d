//! One worker's session: reads what the worker says until its stream ends, then waits out the reconnect grace and
//! gives its tasks to others.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use likeness_shared::ids::{Fence, Incarnation, TaskId, WorkerId};
use likeness_shared::limits::MAX_CHECKPOINT_BYTES;
use likeness_shared::proto::coordinator_message::Message as ToWorker;
use likeness_shared::proto::worker_message::Message as FromWorker;
use likeness_shared::proto::{
    Beat, BeatAck, Cancel, CancelMode, CoordinatorMessage, HeldVerdict, LeaseVerdict, Progress,
    TaskBeat as WireBeat, WorkerMessage,
};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tonic::{Status, Streaming};

use super::{Shared, wire};
use crate::scheduler::{Outbound, SessionId};
use crate::store::TaskBeat;
use crate::store::transition::BeatVerdict;

/// Between the times that the store is told that the worker is still there.
const SEEN_EVERY: Duration = Duration::from_secs(10);

/// Why a session ended, for the log.
type Ending = String;

pub(super) struct Session {
    pub(super) shared: Shared,
    pub(super) worker: WorkerId,
    pub(super) incarnation: Incarnation,
    pub(super) id: SessionId,
    pub(super) outbox: mpsc::Sender<Outbound>,
    pub(super) cut: CancellationToken,
}

impl Session {
    /// Runs until the worker is gone or replaced, then sees to what it held.
    pub(super) async fn run(self, inbox: Streaming<WorkerMessage>) {
        let ending = self.listen(inbox).await;
        let Self { shared, worker, incarnation, id, outbox, .. } = self;
        shared.roster.leave(&worker, id);
        drop(outbox);
        tracing::info!(%worker, %incarnation, ending, "worker session ended");
        tokio::select! {
            // the leases stay in the store, and the worker finds another coordinator or this one again
            () = shared.stop.cancelled() => return,
            () = sleep(shared.config.reconnect_grace) => {}
        }
        if shared.roster.has(&worker, &incarnation) {
            return;
        }
        let grace = shared.config.reconnect_grace;
        match shared.stored(shared.store.worker_lost(worker.clone(), incarnation, grace)).await {
            Ok(lost) if lost.is_empty() => {}
            Ok(lost) => tracing::warn!(%worker, tasks = lost.len(), "worker is lost, its tasks go to others"),
            // the leases run out by themselves
            Err(error) => tracing::error!(%worker, %error, "cannot requeue a lost worker's tasks"),
        }
    }

    async fn listen(&self, mut inbox: Streaming<WorkerMessage>) -> Ending {
        let silence = self.shared.config.lease_ttl;
        let mut seen = Instant::now();
        loop {
            let message = tokio::select! {
                () = self.shared.stop.cancelled() => return "the coordinator goes away".to_owned(),
                () = self.cut.cancelled() => return "cut".to_owned(),
                () = self.outbox.closed() => return "the worker's side is closed".to_owned(),
                message = timeout(silence, inbox.message()) => message,
            };
            let handled = match message {
                Err(_) => return format!("silent for {} s", silence.as_secs_f64()),
                Ok(Err(status)) => return format!("broken: {}", status.message()),
                Ok(Ok(None)) => return "closed by the worker".to_owned(),
                Ok(Ok(Some(message))) => self.handle(message).await,
            };
            if let Err(ending) = handled {
                return ending;
            }
            if seen.elapsed() >= SEEN_EVERY {
                seen = Instant::now();
                self.note_seen().await;
            }
        }
    }

    /// The worker's record says when it was last seen.
    async fn note_seen(&self) {
        let asked = self.shared.store.worker_seen(self.worker.clone(), self.incarnation.clone());
        if let Err(error) = self.shared.stored(asked).await {
            tracing::warn!(worker = %self.worker, %error, "cannot note that the worker is there");
        }
    }

    async fn handle(&self, message: WorkerMessage) -> Result<(), Ending> {
        match message.message {
            Some(FromWorker::Credit(credit)) => {
                self.shared.roster.credit(&self.worker, self.id, credit.free_slots);
                Ok(())
            }
            Some(FromWorker::Beat(beat)) => self.beat(beat).await,
            Some(FromWorker::Hello(_)) => Err("a second Hello".to_owned()),
            // a later version's message: the range that was agreed makes it harmless
            None => Ok(()),
        }
    }

    async fn beat(&self, beat: Beat) -> Result<(), Ending> {
        let Beat { sequence, tasks } = beat;
        let mut readable = Vec::with_capacity(tasks.len());
        let mut verdicts = Vec::with_capacity(tasks.len());
        for task in tasks {
            match task.task_id.parse::<TaskId>() {
                Ok(id) => readable.push(self.task_beat(id, task)),
                Err(_) => verdicts.push(verdict(task.task_id, task.fence, LeaseVerdict::Abandon)),
            }
        }
        let named: Vec<(TaskId, Fence)> = readable.iter().map(|beat| (beat.task, beat.fence)).collect();
        let reports: HashMap<TaskId, Progress> =
            readable.iter().filter_map(|beat| Some((beat.task, beat.progress.clone()?))).collect();
        let ids: Vec<TaskId> = named.iter().map(|(task, _)| *task).collect();
        if !readable.is_empty() {
            let stored = self.shared.stored(self.shared.store.beat(self.worker.clone(), readable)).await;
            let renewed = match stored {
                Ok(renewed) => renewed,
                Err(error) => {
                    // without an acknowledgement the worker stops by itself before anybody else may start
                    tracing::error!(worker = %self.worker, %error, "beat not stored");
                    return Ok(());
                }
            };
            for ((task, fence), renewed) in named.into_iter().zip(renewed) {
                let keep = matches!(renewed, BeatVerdict::Renewed { .. });
                if let Some(progress) = reports.get(&task).filter(|_| keep) {
                    self.shared.series.reported(task, progress);
                }
                let keep_or_not = if keep { LeaseVerdict::Keep } else { LeaseVerdict::Abandon };
                verdicts.push(verdict(task.to_string(), fence.0, keep_or_not));
                if let BeatVerdict::Renewed { asked: Some(asked) } = renewed {
                    // the push of the moment of asking may have been lost with an earlier session
                    let mode = CancelMode::from(asked).into();
                    let cancel = Cancel { task_id: task.to_string(), fence: fence.0, mode };
                    self.send(ToWorker::Cancel(cancel)).await?;
                }
            }
        }
        self.shared.roster.seen(&self.worker, self.id, &ids);
        self.send(ToWorker::BeatAck(BeatAck { sequence, verdicts })).await
    }

    fn task_beat(&self, task: TaskId, beat: WireBeat) -> TaskBeat {
        let mut checkpoint = Bytes::from(beat.checkpoint);
        if checkpoint.len() > MAX_CHECKPOINT_BYTES {
            tracing::warn!(%task, worker = %self.worker, bytes = checkpoint.len(), "checkpoint is too large and not kept");
            checkpoint = Bytes::new();
        }
        let device_time_us = wire::to_microseconds(beat.device_time);
        TaskBeat { task, fence: Fence(beat.fence), progress: beat.progress, checkpoint, device_time_us }
    }

    /// Waits for room in the outbox no longer than a stalled worker deserves.
    async fn send(&self, message: ToWorker) -> Result<(), Ending> {
        let message: Result<CoordinatorMessage, Status> = Ok(CoordinatorMessage { message: Some(message) });
        let sent = self.outbox.send_timeout(message, self.shared.config.connections.send_timeout).await;
        sent.map_err(|_| "the worker takes no messages".to_owned())
    }
}

fn verdict(task_id: String, fence: u64, verdict: LeaseVerdict) -> HeldVerdict {
    HeldVerdict { task_id, fence, verdict: verdict.into() }
}
