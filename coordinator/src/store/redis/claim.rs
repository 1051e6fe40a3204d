//! Gives waiting tasks to a worker.
//!
//! The server says which task is next, and guesses at those that come then. All of them are read together, and their
//! leases are committed one behind the other without waiting for answers: each stands only if its task is as it was
//! read and its user is next at that very moment, so the order is exact whoever else claims. What was guessed wrong is
//! left as it is. As long as guesses are right, more and more are made.

use futures::future::join_all;
use likeness_shared::ids::TaskId;

use super::RedisStore;
use super::history::Seen;
use super::keys::read_queue_row;
use super::link::Exchange;
use super::load::read;
use super::step::{Known, Step, Want};
use super::transactions::Terms;
use crate::store::indexes::{WaitingRow, place};
use crate::store::record::StoreTime;
use crate::store::transition::Refusal;
use crate::store::{Claimant, Claimed, StoreError, operations, workers};

/// Races lost in a row, after which the claim is given up for the moment.
const RACES: u32 = 64;
/// Tasks leased at once, at most.
const MOST_AT_ONCE: usize = 16;

impl RedisStore {
    /// Leases up to `most` tasks. What was leased before a failure is given all the same.
    pub(super) async fn claim_tasks(
        &self,
        claimant: &Claimant,
        most: usize,
    ) -> Result<Vec<Claimed>, StoreError> {
        // the claims of one coordinator would only race each other
        let mut at_once = self.claiming.lock().await;
        let mut claimed = Vec::new();
        let (mut races, mut since) = (0, None);
        while claimed.len() < most && races < RACES {
            self.pause(races).await;
            let asked = (*at_once).min(most - claimed.len());
            let claims = match self.claim_next(claimant, asked, &mut since).await {
                Ok(claims) if claims.is_empty() => return Ok(claimed),
                Ok(claims) => claims,
                Err(error) if claimed.is_empty() => return Err(error),
                Err(error) => {
                    tracing::warn!(%error, "claim broken off");
                    return Ok(claimed);
                }
            };
            let tried = claims.len();
            let mut made = 0;
            let (mut failed, mut withheld) = (None, false);
            for claim in claims {
                match claim {
                    Ok(Claim::Leased(task)) => claimed.push(*task),
                    Ok(Claim::Ended) => {}
                    Ok(Claim::Withheld) => {
                        withheld = true;
                        continue;
                    }
                    Ok(Claim::Lost) => continue,
                    Err(error) => {
                        failed = Some(error);
                        continue;
                    }
                }
                made += 1;
            }
            match failed {
                Some(error) if claimed.is_empty() => return Err(error),
                Some(error) => {
                    tracing::warn!(%error, "claim broken off");
                    return Ok(claimed);
                }
                None => {}
            }
            if withheld {
                return Ok(claimed);
            }
            races = if made == 0 { races + 1 } else { 0 };
            *at_once = match made {
                made if made < tried => made.max(1),
                _ => (*at_once).max(tried * 2).min(MOST_AT_ONCE),
            };
        }
        if claimed.is_empty() && races == RACES {
            return Err(StoreError::Unavailable {
                reason: "other coordinators were faster every time".to_owned(),
            });
        }
        Ok(claimed)
    }

    /// Tries to lease the task that is next, and those that are likely to come then: `most` in all. Nothing where nothing
    /// waits. `since` = when the leases before were made.
    async fn claim_next(
        &self,
        claimant: &Claimant,
        most: usize,
        since: &mut Option<StoreTime>,
    ) -> Result<Vec<Result<Claim, StoreError>>, StoreError> {
        let mut waiting = self.next_in_order(&claimant.pools, most).await?;
        waiting.truncate(most);
        if waiting.is_empty() {
            return Ok(Vec::new());
        }
        let wants = |(row, id): &(WaitingRow, TaskId)| {
            [Want::Task(*id), Want::Checkpoint(*id), Want::Costs(row.lane.text())]
        };
        let worker = Want::Worker(claimant.worker.clone());
        let wants = waiting.iter().flat_map(wants).chain([worker]);
        let terms = Terms { since: *since, ..Terms::wanting(wants) };
        let mut all = Step::new(&self.keys, self.times, &self.policy);
        let seen = self.read(&terms, &mut all).await?;
        *since = Some(all.known.now);
        let steps: Vec<(TaskId, Step<'_>)> = waiting
            .iter()
            .map(|(_, id)| {
                let mut step = Step::new(&self.keys, self.times, &self.policy);
                step.known = all.known.split_off(*id);
                let read = step.known.tasks.get(id).and_then(|read| read.record.as_ref());
                step.in_turn = read.map(|task| (place(task), claimant.pools.clone()));
                (*id, step)
            })
            .collect();
        let lease = |(id, step)| self.lease_one(claimant, &terms, &seen, id, step);
        // polled, and so sent, in the order of the queue
        Ok(join_all(steps.into_iter().map(lease)).await)
    }

    async fn lease_one(
        &self,
        claimant: &Claimant,
        terms: &Terms,
        seen: &Seen,
        id: TaskId,
        step: Step<'_>,
    ) -> Result<Claim, StoreError> {
        let lease = |step: &mut Step<'_>| {
            // while the store recovers somebody may be at work on it
            if step.is_recovering() || !workers::takes_work(step, &claimant.worker)? {
                return Ok(Claim::Withheld);
            }
            let claimed = operations::lease(step, claimant, id)?;
            Ok(claimed.map_or(Claim::Ended, |claimed| Claim::Leased(Box::new(claimed))))
        };
        match self.take(terms, seen, step, lease).await {
            Ok(Some(claim)) => Ok(claim),
            Ok(None)
            | Err(StoreError::Refused(Refusal::NotQueued) | StoreError::NotFound { kind: "task", .. }) => {
                Ok(Claim::Lost)
            }
            Err(error) => Err(error),
        }
    }

    /// The task that is next for a worker with these models, and guesses at those that come then: `most` or a few more.
    async fn next_in_order(
        &self,
        pools: &[String],
        most: usize,
    ) -> Result<Vec<(WaitingRow, TaskId)>, StoreError> {
        let mut call = self.next.prepare_invoke();
        call.key(self.keys.queue()).key(self.keys.turns()).key(self.keys.nodes()).arg(most);
        for pool in pools {
            call.arg(pool);
        }
        let rows: Vec<Vec<u8>> = read(self.link.ask(Exchange::Script(&call)).await?)?;
        rows.iter().map(|row| read_queue_row(row)).collect()
    }
}

impl Known {
    /// What was read of one task, and of nothing else that its lease would rest on.
    fn split_off(&mut self, id: TaskId) -> Self {
        Self {
            now: self.now,
            facts: self.facts.clone(),
            workers: self.workers.clone(),
            put_forward: self.put_forward.take(),
            tasks: self.tasks.remove_entry(&id).into_iter().collect(),
            checkpoints: self.checkpoints.remove_entry(&id).into_iter().collect(),
            costs: self.costs.clone(),
            ..Self::default()
        }
    }
}

enum Claim {
    Leased(Box<Claimed>),
    /// It could not be started and was ended instead.
    Ended,
    /// Nothing is leased for the moment, or not to this worker.
    Withheld,
    /// Somebody else was faster, or somebody else is next.
    Lost,
}
