//! Gives waiting tasks to a worker.
//!
//! The server says which task is next; the lease is committed only if that very task is still as it was. Whoever
//! loses that race asks for the next one, and every race lost is a lease that somebody else got. The order is exact
//! but for commits that happen between the question and the lease.

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
use crate::store::{Claimant, Claimed, StoreError, operations, workers};

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
        let mut since = None;
        let mut races = 0;
        while claimed.len() < most && races < RACES {
            match self.claim_next(claimant, &mut since).await {
                Ok(Claim::Leased(task)) => {
                    races = 0;
                    claimed.push(*task);
                }
                Ok(Claim::Ended) => races = 0,
                Ok(Claim::Lost) => races += 1,
                Ok(Claim::NothingWaits | Claim::NotToThisWorker) => return Ok(claimed),
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

    async fn claim_next(
        &self,
        claimant: &Claimant,
        since: &mut Option<StoreTime>,
    ) -> Result<Claim, StoreError> {
        let Some((row, id)) = self.next_in_order(&claimant.pools).await? else {
            return Ok(Claim::NothingWaits);
        };
        let wants = [
            Want::Worker(claimant.worker.clone()),
            Want::Task(id),
            Want::Checkpoint(id),
            Want::Costs(row.lane.text()),
        ];
        let terms = Terms { since: *since, ..Terms::wanting(wants) };
        let lease = |step: &mut Step<'_>| {
            if step.is_recovering() {
                // somebody may be at work on it
                return Ok(Claim::NothingWaits);
            }
            if !workers::takes_work(step, &claimant.worker)? {
                return Ok(Claim::NotToThisWorker);
            }
            let claimed = operations::lease(step, claimant, id)?;
            Ok(claimed.map_or(Claim::Ended, |claimed| Claim::Leased(Box::new(claimed))))
        };
        match self.step(terms, lease).await {
            Ok(taken) => {
                *since = Some(taken.at);
                Ok(taken.result)
            }
            Err(StoreError::Refused(Refusal::NotQueued) | StoreError::NotFound { kind: "task", .. }) => {
                Ok(Claim::Lost)
            }
            Err(error) => Err(error),
        }
    }

    /// The task that is next for a worker with these models.
    async fn next_in_order(&self, pools: &[String]) -> Result<Option<(WaitingRow, TaskId)>, StoreError> {
        let mut call = self.next.prepare_invoke();
        call.key(self.keys.queue()).key(self.keys.turns()).key(self.keys.nodes());
        for pool in pools {
            call.arg(pool);
        }
        let row: Option<Vec<u8>> = read(self.link.ask(Exchange::Script(&call)).await?)?;
        row.map(|row| read_queue_row(&row)).transpose()
    }
}

enum Claim {
    Leased(Box<Claimed>),
    /// It could not be started and was ended instead.
    Ended,
    /// Somebody else was faster.
    Lost,
    NothingWaits,
    /// It is drained or quarantined.
    NotToThisWorker,
}
