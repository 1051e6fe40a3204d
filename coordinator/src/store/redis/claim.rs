//! Gives waiting tasks to a worker.
//!
//! The server says which task is next; the lease is committed only if that very task is still as it was. Whoever
//! loses that race asks for the next one, and every race lost is a lease that somebody else got. The order is exact
//! but for commits that happen between the question and the lease.
//!
//! A claim of several tasks waits for one exchange a task: the question for the next one travels behind the commit of
//! a lease, and the tasks that are likely to come are read together in advance. A guess that is wrong costs another
//! reading; one that is out of date is noticed at the commit.

use likeness_shared::ids::TaskId;

use super::RedisStore;
use super::keys::read_queue_row;
use super::link::Exchange;
use super::load::read;
use super::step::{Known, Step, Want};
use super::transactions::Terms;
use crate::store::indexes::WaitingRow;
use crate::store::record::StoreTime;
use crate::store::transition::Refusal;
use crate::store::{Claimant, Claimed, StoreError, operations};

/// Races lost in a row, after which the claim is given up for the moment.
const RACES: u32 = 64;
/// Tasks read in advance.
const READ_AHEAD: usize = 16;

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
        let mut run = Run::default();
        let mut races = 0;
        while claimed.len() < most && races < RACES {
            let left = most - claimed.len();
            match self.claim_next(claimant, &mut run, left).await {
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

    /// Leases one task, where `left` more are asked for.
    async fn claim_next(&self, claimant: &Claimant, run: &mut Run, left: usize) -> Result<Claim, StoreError> {
        let pools = &claimant.pools;
        let waiting = match run.next.take() {
            Some(waiting) => waiting,
            None => self.next_in_order(pools, left.min(READ_AHEAD)).await?,
        };
        let Some((_, id)) = waiting.first() else { return Ok(Claim::NothingWaits) };
        if !run.read.tasks.contains_key(id) {
            self.read_ahead(run, &waiting).await?;
        }
        let id = *id;
        let terms = Terms { since: run.since, ..Terms::wanting(wants(waiting.iter().take(1))) };
        let known = run.known_of(id);
        let ahead = if run.read.tasks.is_empty() { READ_AHEAD.min(left - 1) } else { 1 };
        let lease = |step: &mut Step<'_>| operations::lease(step, claimant, id);
        let next = || async { if left > 1 { Some(self.next_in_order(pools, ahead).await) } else { None } };
        match self.step_and_ask(terms, Some(known), lease, next).await {
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

    /// The task that is next for a worker with these models, and guesses at those that come then: `most` or a few more.
    async fn next_in_order(&self, pools: &[String], most: usize) -> Result<Vec<Waiting>, StoreError> {
        let mut call = self.next.prepare_invoke();
        call.key(self.keys.queue()).key(self.keys.turns()).key(self.keys.nodes()).arg(most);
        for pool in pools {
            call.arg(pool);
        }
        let rows: Vec<Vec<u8>> = read(self.link.ask(Exchange::Script(&call)).await?)?;
        rows.iter().map(|row| read_queue_row(row)).collect()
    }

    /// Reads what the leases of these tasks need.
    async fn read_ahead(&self, run: &mut Run, waiting: &[Waiting]) -> Result<(), StoreError> {
        let terms = Terms { since: run.since, ..Terms::wanting(wants(waiting)) };
        let mut step = Step::new(&self.keys, self.times, &self.policy);
        self.read(&terms, &mut step).await?;
        run.read = step.known;
        Ok(())
    }
}

fn wants<'w>(waiting: impl IntoIterator<Item = &'w Waiting>) -> Vec<Want> {
    let of_task =
        |(row, id): &Waiting| [Want::Task(*id), Want::Checkpoint(*id), Want::Costs(row.lane.text())];
    waiting.into_iter().flat_map(of_task).collect()
}

/// A waiting task and its place in the order.
type Waiting = (WaitingRow, TaskId);

/// What one lease of a claim leaves to the next one.
#[derive(Default)]
struct Run {
    /// When it was committed.
    since: Option<StoreTime>,
    /// What was next after it, with guesses behind; `None` = to be asked.
    next: Option<Vec<Waiting>>,
    /// What was read in advance.
    read: Known,
}

impl Run {
    /// What was read of one task, and of nothing else that its lease would rest on.
    fn known_of(&mut self, id: TaskId) -> Known {
        let read = &mut self.read;
        Known {
            now: self.since.map_or(read.now, |since| since.max(read.now)),
            put_forward: read.put_forward.take(),
            tasks: read.tasks.remove_entry(&id).into_iter().collect(),
            checkpoints: read.checkpoints.remove_entry(&id).into_iter().collect(),
            costs: read.costs.clone(),
            ..Known::default()
        }
    }
}

enum Claim {
    Leased(Box<Claimed>),
    /// It could not be started and was ended instead.
    Ended,
    /// Somebody else was faster.
    Lost,
    NothingWaits,
}
