//! Gives waiting tasks to a worker.
//!
//! The server says which task is next; the lease is committed only if that very task is still as it was. Whoever
//! loses that race asks for the next one, and every race lost is a lease that somebody else got. The order is exact
//! but for commits that happen between the question and the lease. The question for the next task travels behind the
//! commit of a lease, so that a task of several costs two exchanges and not three.

use likeness_shared::ids::TaskId;

use super::RedisStore;
use super::keys::read_queue_row;
use super::link::Exchange;
use super::load::read;
use super::step::{Step, Want};
use super::transactions::Terms;
use crate::store::indexes::WaitingRow;
use crate::store::record::StoreTime;
use crate::store::transition::Refusal;
use crate::store::{Claimant, Claimed, StoreError, operations};

/// Races lost in a row, after which the claim is given up for the moment.
const RACES: u32 = 64;

impl RedisStore {
    /// Leases up to `most` tasks. What was leased before a failure is given all the same.
    pub(super) async fn claim_tasks(
        &self,
        claimant: &Claimant,
        most: usize,
    ) -> Result<Vec<Claimed>, StoreError> {
        // the claims of one coordinator would only race each other
        let _alone = self.claiming.lock().await;
        let mut claimed = Vec::new();
        let mut run = Run { since: None, next: None };
        let mut races = 0;
        while claimed.len() < most && races < RACES {
            let more = claimed.len() + 1 < most;
            match self.claim_next(claimant, &mut run, more).await {
                Ok(Claim::Leased(task)) => {
                    races = 0;
                    claimed.push(*task);
                }
                Ok(Claim::Ended) => races = 0,
                Ok(Claim::Lost) => races += 1,
                Ok(Claim::NothingWaits) => return Ok(claimed),
                Err(error) if claimed.is_empty() => return Err(error),
                Err(error) => {
                    tracing::warn!(%error, "claim broken off");
                    return Ok(claimed);
                }
            }
        }
        if claimed.is_empty() && races == RACES {
            return Err(StoreError::Unavailable {
                reason: "other coordinators were faster every time".to_owned(),
            });
        }
        Ok(claimed)
    }

    async fn claim_next(&self, claimant: &Claimant, run: &mut Run, more: bool) -> Result<Claim, StoreError> {
        let next = match run.next.take() {
            Some(next) => next,
            None => self.next_in_order(&claimant.pools).await?,
        };
        let Some((row, id)) = next else { return Ok(Claim::NothingWaits) };
        let wants = [Want::Task(id), Want::Checkpoint(id), Want::Costs(row.lane.text())];
        let terms = Terms { since: run.since, ..Terms::wanting(wants) };
        let lease = |step: &mut Step<'_>| operations::lease(step, claimant, id);
        let next = || async { if more { Some(self.next_in_order(&claimant.pools).await) } else { None } };
        match self.step_and_ask(terms, lease, next).await {
            Ok((taken, next)) => {
                run.since = Some(taken.at);
                // a question that failed is asked again
                run.next = next.flatten().and_then(Result::ok);
                Ok(taken.result.map_or(Claim::Ended, |claimed| Claim::Leased(Box::new(claimed))))
            }
            Err(StoreError::Refused(Refusal::NotQueued) | StoreError::NotFound { kind: "task", .. }) => {
                Ok(Claim::Lost)
            }
            Err(error) => Err(error),
        }
    }

    /// The task that is next for a worker with these models.
    async fn next_in_order(&self, pools: &[String]) -> Result<Option<Waiting>, StoreError> {
        let mut call = self.next.prepare_invoke();
        call.key(self.keys.queue()).key(self.keys.turns()).key(self.keys.nodes());
        for pool in pools {
            call.arg(pool);
        }
        let row: Option<Vec<u8>> = read(self.link.ask(Exchange::Script(&call)).await?)?;
        row.map(|row| read_queue_row(&row)).transpose()
    }
}

/// A waiting task and its place in the order.
type Waiting = (WaitingRow, TaskId);

/// What one lease of a claim leaves to the next one.
struct Run {
    /// When it was committed.
    since: Option<StoreTime>,
    /// What was next after it; `None` = to be asked.
    next: Option<Option<Waiting>>,
}

enum Claim {
    Leased(Box<Claimed>),
    /// It could not be started and was ended instead.
    Ended,
    /// Somebody else was faster.
    Lost,
    NothingWaits,
}
