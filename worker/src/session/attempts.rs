//! What the session does with the attempts that it holds: takes them, hands them to the device, and carries their
//! endings to the coordinator.

use std::time::{Duration, Instant};

use bytes::Bytes;
use likeness_shared::proto::{
    CancelMode, HeldVerdict, Lease, LeaseVerdict, Preview, Progress, SettleVerdict,
};
use tokio::task::JoinError;
use tokio_util::sync::CancellationToken;

use super::held::{Admission, Stage};
use super::settle::Settlement;
use super::{Errand, Session, fetch, parse_attempt, settle};
use crate::engine::{self, Attempt, Command, Ending};
use crate::error::WorkerError;

impl Session {
    /// Drops what the coordinator has given to somebody else.
    pub(super) fn abandon(&mut self, verdicts: &[HeldVerdict]) {
        for verdict in verdicts.iter().filter(|verdict| verdict.verdict() == LeaseVerdict::Abandon) {
            let Some(attempt) = parse_attempt(&verdict.task_id, verdict.fence) else { continue };
            if self.ledger.remove(attempt).is_some() {
                tracing::warn!(%attempt, "lease is lost, the attempt is dropped");
                self.command(Command::Drop(attempt));
            }
        }
    }

    /// A task is given to this worker.
    pub(super) fn on_lease(&mut self, lease: Lease) {
        let Some(attempt) = parse_attempt(&lease.task_id, lease.fence) else {
            tracing::warn!(task = lease.task_id, "lease of an unreadable task id is ignored");
            return;
        };
        match self.ledger.admit(attempt) {
            Admission::Refuse => {
                tracing::warn!(%attempt, "lease has been here before, its second start is refused");
                return;
            }
            Admission::Replace(old) => {
                tracing::warn!(%attempt, %old, "newer lease of a held task, the older attempt is dropped");
                self.ledger.remove(old);
                self.command(Command::Drop(old));
            }
            Admission::Take => {}
        }
        // the coordinator may not have heard yet that there is less room than a moment ago: what it gives is taken
        let has_room = self.draining_until.is_none() && self.ledger.free_slots(self.config.slots) > 0;
        let checkpoint = Bytes::from(lease.checkpoint.clone());
        let token = self.ledger.insert(attempt, checkpoint.clone(), Instant::now()).errand.clone();
        if !has_room {
            tracing::info!(%attempt, "lease is handed back, there is no room for it");
            let ending = Ending::HandedBack { checkpoint, progress: Progress::default() };
            self.settle(attempt, ending, Duration::ZERO);
            return;
        }
        tracing::info!(%attempt, resumes = !lease.checkpoint.is_empty(), "lease taken");
        let (routes, deadline) = (self.announcer.routes(), self.config.fetch_timeout);
        self.errands.spawn(until_stopped(token, async move {
            let fetched = fetch::fetch(routes, attempt, lease, deadline).await;
            Errand::Fetched(attempt, fetched.map(Box::new))
        }));
    }

    /// The task is to end, or to go on elsewhere.
    pub(super) fn on_cancel(&mut self, attempt: Attempt, mode: CancelMode) {
        let hands_back = mode == CancelMode::HandBack;
        match self.ledger.get_mut(attempt).map(|held| held.stage) {
            Some(Stage::Fetching) if hands_back => self.hand_back_unstarted(attempt),
            Some(Stage::Fetching) => self.settle(attempt, Ending::Cancelled, Duration::ZERO),
            Some(Stage::Running | Stage::Fenced) if hands_back => self.command(Command::HandBack(attempt)),
            Some(Stage::Running | Stage::Fenced) => self.command(Command::Cancel(attempt)),
            // Its outcome is on the way: whoever commits first wins.
            Some(Stage::Settling) | None => tracing::debug!(%attempt, "cancel comes too late"),
        }
    }

    /// An errand is done.
    pub(super) fn on_errand(&mut self, errand: Result<Errand, JoinError>) -> Result<(), WorkerError> {
        let errand = errand.map_err(|error| WorkerError::Internal(error.to_string()))?;
        match errand {
            Errand::Stopped => {}
            Errand::Fetched(attempt, Ok(order)) => {
                if let Some(held) = self.ledger.get_mut(attempt).filter(|held| held.stage == Stage::Fetching)
                {
                    held.stage = Stage::Running;
                    self.command(Command::Join(order));
                }
            }
            Errand::Fetched(attempt, Err(fault)) => {
                tracing::warn!(%attempt, %fault, "task's files cannot be had");
                self.settle(attempt, Ending::Failed(fault), Duration::ZERO);
            }
            Errand::Shown(attempt, Ok(preview)) => {
                if let Some(held) = self.ledger.get_mut(attempt) {
                    held.show(preview);
                    // whoever looks on does not wait for the next beat
                    self.beat(Instant::now());
                }
            }
            Errand::Shown(attempt, Err(error)) => {
                tracing::warn!(%attempt, %error, "preview cannot be shown");
            }
            Errand::Settled(attempt, verdict) => {
                match verdict {
                    Ok(SettleVerdict::Stale) => {
                        tracing::warn!(%attempt, "settled too late: the lease was lost")
                    }
                    Ok(verdict) => {
                        tracing::info!(%attempt, verdict = verdict.as_str_name(), "attempt settled")
                    }
                    Err(error) => tracing::error!(%attempt, %error, "coordinator refuses the settlement"),
                }
                self.ledger.remove(attempt);
            }
        }
        Ok(())
    }

    /// Starts to carry a preview to the artifact store; the next beats name it. It is tried once: a newer one follows.
    pub(super) fn show(&mut self, attempt: Attempt, preview: engine::Preview) {
        let Some(held) = self.ledger.get_mut(attempt).filter(|held| held.stage == Stage::Running) else {
            return;
        };
        let (token, mut routes) = (held.errand.clone(), self.announcer.routes());
        self.errands.spawn(until_stopped(token, async move {
            let client = routes.newest().await.client;
            let digest = client.artifacts().upload(preview.png, "image/png").await;
            let shown =
                digest.map(|digest| Preview { step: preview.step, artifact_digest: digest.to_string() });
            Errand::Shown(attempt, shown)
        }));
    }

    /// Starts to carry an ending to the coordinator; at most one ending per attempt gets this far.
    pub(super) fn settle(&mut self, attempt: Attempt, ending: Ending, device_time: Duration) {
        let Some(held) = self.ledger.get_mut(attempt).filter(|held| held.stage != Stage::Settling) else {
            return;
        };
        held.errand.cancel();
        held.errand = CancellationToken::new();
        held.stage = Stage::Settling;
        held.progress.phase = "upload".to_owned();
        let token = held.errand.clone();
        let device_time = device_time.max(held.device_time);
        let (worker_id, checkpoint) = (self.identity.worker_id.clone(), held.checkpoint.clone());
        let settlement = Settlement { worker_id, attempt, device_time, checkpoint };
        let (routes, most_backoff) = (self.announcer.routes(), self.config.most_backoff);
        self.errands.spawn(until_stopped(token, async move {
            Errand::Settled(attempt, settle::settle(routes, settlement, ending, most_backoff).await)
        }));
    }

    /// No new work; everything live is handed back at its next step.
    pub(super) fn drain(&mut self) {
        tracing::info!(held = self.ledger.attempts().len(), "stopping: tasks are handed back");
        self.draining_until = Some(Instant::now() + self.config.drain_grace);
        self.command(Command::Drain);
        for attempt in self.ledger.attempts() {
            self.hand_back_unstarted(attempt);
        }
    }

    /// Hands back a task that is not on the device yet, as it came.
    fn hand_back_unstarted(&mut self, attempt: Attempt) {
        let Some(held) = self.ledger.get_mut(attempt).filter(|held| held.stage == Stage::Fetching) else {
            return;
        };
        let ending =
            Ending::HandedBack { checkpoint: held.checkpoint.clone(), progress: held.progress.clone() };
        self.settle(attempt, ending, Duration::ZERO);
    }
}

/// The errand, unless its token is cancelled first.
async fn until_stopped(token: CancellationToken, errand: impl Future<Output = Errand>) -> Errand {
    tokio::select! {
        () = token.cancelled() => Errand::Stopped,
        errand = errand => errand,
    }
}
