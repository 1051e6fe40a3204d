//! What is past its time: leases, ended tasks, request ids. Every coordinator looks, a bounded number at a time.
//!
//! After a time in which no coordinator could renew a lease (all of them were down, or the server was, or its clock
//! leapt over that time) leases are given a whole TTL more instead of being ended. A mark in the store says when a
//! coordinator last looked. While the store recovers from a loss nothing ends.

use std::sync::PoisonError;
use std::time::{Duration, Instant};

use likeness_shared::ids::TaskId;
use redis::Script;

use super::RedisStore;
use super::clock::RedisClock;
use super::keys::read_task_id;
use super::link::Exchange;
use super::load::{read, values};
use super::step::Want;
use super::transactions::Terms;
use crate::store::record::{StoreTime, TaskRecord};
use crate::store::workspace::Workspace;
use crate::store::{FallenDueCounts, StoreError, Swept, fair, operations};

/// Tasks changed in one step.
const AT_ONCE: usize = 64;
/// Idle nodes forgotten in one sweep.
const IDLE_AT_ONCE: usize = 500;
/// Steps in one sweep or expiry.
const STEPS: usize = 8;
/// Leases outlive a silence of this part of their TTL.
const SILENCE_PARTS: u32 = 4;

/// How long the number of a coordinator's commits outlives its last look.
const COUNTERS_KEPT: Duration = Duration::from_secs(24 * 3600);
/// Says that a coordinator has looked, and that its commits are still counted. Also where memory is full.
const MARK: &str = "#!lua flags=allow-oom
redis.call('HSET', KEYS[1], 'looked', ARGV[1])
redis.call('SET', KEYS[2], 0, 'NX')
return redis.call('PEXPIRE', KEYS[2], ARGV[2])";

/// The scripts of a look.
pub(super) struct LookScripts {
    mark: Script,
}

impl LookScripts {
    pub(super) fn new() -> Self {
        Self { mark: Script::new(MARK) }
    }
}

/// The same moment by two clocks.
#[derive(Debug, Clone, Copy)]
pub(super) struct LookedAt {
    here: Instant,
    there: StoreTime,
}

/// When it is, and when a coordinator last looked for expired leases.
struct Look {
    now: StoreTime,
    recovering: bool,
    before: Option<StoreTime>,
}

impl RedisStore {
    pub(super) async fn expire_due(&self) -> Result<Vec<TaskId>, StoreError> {
        let was_away = self.link.take_was_away();
        let expired = self.expire_after(was_away).await;
        if let Err(StoreError::Unavailable { .. }) = expired {
            self.recovery.away();
        }
        if was_away && expired.is_err() {
            self.link.note_away();
        }
        expired
    }

    async fn expire_after(&self, was_away: bool) -> Result<Vec<TaskId>, StoreError> {
        let look = self.look().await?;
        if look.recovering {
            self.mark_look(look.now).await?;
            return Ok(Vec::new());
        }
        if (was_away | self.clock_leapt(look.now)) && self.was_silent(&look) {
            let extended = self.extend_leases(look.now).await?;
            tracing::info!(
                leases = extended,
                "leases extended after the store was out of reach or its clock put forward"
            );
            self.mark_look(look.now).await?;
            return Ok(Vec::new());
        }
        self.mark_look(look.now).await?;
        let mut expired = Vec::new();
        for _ in 0..STEPS {
            let due = self.due(&self.keys.leases(), &look.now.0.to_string()).await?;
            if due.is_empty() {
                break;
            }
            let terms =
                Terms { since: Some(look.now), ..Terms::wanting(due.iter().copied().map(Want::Task)) };
            let ended = self.step(terms, |step| {
                let mut ended = Vec::new();
                for id in &due {
                    if operations::expire(step, *id)? {
                        ended.push(*id);
                    }
                }
                Ok(ended)
            });
            let ended = ended.await?;
            // nothing left but what somebody else has just changed
            if ended.is_empty() {
                break;
            }
            expired.extend(ended);
        }
        Ok(expired)
    }

    /// Queues what was scheduled until now, and ends what was not started in time.
    pub(super) async fn fall_due_now(&self) -> Result<FallenDueCounts, StoreError> {
        let now = self.step(Terms::default(), |step| Ok(step.now())).await?;
        let mut counts = FallenDueCounts::default();
        for _ in 0..STEPS {
            let due = self.due(&self.keys.due(), &now.0.to_string()).await?;
            if due.is_empty() {
                break;
            }
            let terms = Terms { since: Some(now), ..Terms::wanting(due.iter().copied().map(Want::Task)) };
            let fallen = self.step(terms, |step| {
                let mut fallen = FallenDueCounts::default();
                for id in &due {
                    fallen.count(operations::fall_due(step, *id)?);
                }
                Ok(fallen)
            });
            let fallen = fallen.await?;
            // nothing left but what somebody else has just changed
            if fallen == FallenDueCounts::default() {
                break;
            }
            counts.queued += fallen.queued;
            counts.expired += fallen.expired;
        }
        Ok(counts)
    }

    /// At the start: extends leases unless another coordinator has been here all the while.
    pub(super) async fn extend_after_silence(&self) -> Result<(), StoreError> {
        let look = self.look().await?;
        if self.was_silent(&look) {
            let extended = self.extend_leases(look.now).await?;
            if extended > 0 {
                tracing::info!(leases = extended, "leases extended after no coordinator was there");
            }
        }
        self.mark_look(look.now).await
    }

    /// At the end: whoever comes next finds that nobody looks, unless somebody does.
    pub(super) async fn forget_look(&self) -> Result<(), StoreError> {
        let mut pipeline = redis::pipe();
        pipeline.cmd("HDEL").arg(self.keys.meta()).arg("looked");
        pipeline.cmd("DEL").arg(self.keys.commits_of(&self.history.so_far().counter));
        self.link.ask(Exchange::Commands(&pipeline)).await.map(drop)
    }

    fn was_silent(&self, look: &Look) -> bool {
        look.before.is_none_or(|before| before.plus(self.times.lease_ttl / SILENCE_PARTS) < look.now)
    }

    async fn look(&self) -> Result<Look, StoreError> {
        let mut pipeline = redis::pipe();
        pipeline.cmd("HGET").arg(self.keys.meta()).arg("looked").cmd("INFO").arg("memory");
        let mut answers = values(self.link.ask(Exchange::Commands(&pipeline)).await?)?.into_iter();
        let mut next = || answers.next().unwrap_or(redis::Value::Nil);
        let before: Option<u64> = read(next())?;
        self.memory.found(&read::<String>(next())?);
        let found = self.step(Terms::default(), |step| Ok((step.now(), step.is_recovering())));
        let (now, recovering) = found.await?;
        Ok(Look { now, recovering, before: before.map(StoreTime) })
    }

    async fn mark_look(&self, now: StoreTime) -> Result<(), StoreError> {
        let mut call = self.looks.mark.prepare_invoke();
        call.key(self.keys.meta()).key(self.keys.commits_of(&self.history.so_far().counter));
        call.arg(now.0).arg(u64::try_from(COUNTERS_KEPT.as_millis()).unwrap_or(u64::MAX));
        self.link.ask(Exchange::Script(&call)).await.map(drop)
    }

    /// Whether the server's clock was put forward since this coordinator last looked: then leases look older than
    /// they are. A clock that a test sets may do so.
    fn clock_leapt(&self, now: StoreTime) -> bool {
        let looked = LookedAt { here: Instant::now(), there: now };
        let last = self.last_look.lock().unwrap_or_else(PoisonError::into_inner).replace(looked);
        let slack = self.times.lease_ttl / SILENCE_PARTS;
        matches!(self.clock, RedisClock::Server)
            && last.is_some_and(|last| last.there.plus(last.here.elapsed()).plus(slack) < now)
    }

    async fn extend_leases(&self, now: StoreTime) -> Result<usize, StoreError> {
        let until = now.plus(self.times.lease_ttl);
        let mut extended = 0;
        loop {
            let due = self.due(&self.keys.leases(), &format!("({}", until.0)).await?;
            if due.is_empty() {
                return Ok(extended);
            }
            extended += due.len();
            let terms = Terms { since: Some(now), ..Terms::wanting(due.iter().copied().map(Want::Task)) };
            let extend =
                self.step(terms, |step| due.iter().try_for_each(|id| operations::extend_lease(step, *id)));
            extend.await?;
        }
    }

    pub(super) async fn sweep_due(&self) -> Result<Swept, StoreError> {
        let mut swept = Swept::default();
        let now = self.step(Terms::default(), |step| Ok(step.now())).await?;
        for _ in 0..STEPS {
            let before = now.minus(self.times.ended_tasks);
            let due = self.due(&self.keys.ended(), &format!("({}", before.0)).await?;
            if due.is_empty() {
                break;
            }
            let terms = Terms { since: Some(now), ..Terms::wanting(due.iter().copied().map(Want::Task)) };
            let removed = self.step(terms, |step| {
                let mut removed = 0;
                for id in &due {
                    // it may have been tried again since the index was read
                    let task = step.find_task(*id)?;
                    let past = |task: &TaskRecord| task.ended.is_some_and(|ended| ended < before);
                    if let Some(task) = task.filter(past) {
                        step.remove_task(&task);
                        removed += 1;
                    }
                }
                Ok(removed)
            });
            swept.tasks += removed.await?;
        }
        self.forget_idle(now.minus(fair::DEBTS_KEPT)).await?;
        for _ in 0..STEPS {
            let before = now.minus(self.times.request_ids);
            let due: Vec<String> = self.rows(&self.keys.requests_by_age(), &format!("({}", before.0)).await?;
            if due.is_empty() {
                break;
            }
            let terms = Terms { since: Some(now), ..Terms::wanting(due.iter().cloned().map(Want::Request)) };
            let forgotten = self.step(terms, |step| {
                due.iter().for_each(|request| step.forget_request(request));
                Ok(due.len())
            });
            swept.requests += forgotten.await?;
        }
        swept.workers = self.forget_workers(now).await?;
        Ok(swept)
    }

    async fn forget_idle(&self, before: StoreTime) -> Result<(), StoreError> {
        let keys = &self.keys;
        let mut call = self.forget.prepare_invoke();
        call.key(keys.nodes()).key(keys.turns()).key(keys.idle()).key(keys.meta());
        call.arg(before.0).arg(IDLE_AT_ONCE);
        self.link.ask(Exchange::Script(&call)).await.map(drop)
    }

    /// Tasks in a sorted set up to a score.
    async fn due(&self, key: &str, most: &str) -> Result<Vec<TaskId>, StoreError> {
        let members: Vec<Vec<u8>> = self.rows(key, most).await?;
        members.iter().map(|member| read_task_id(member)).collect()
    }

    pub(super) async fn rows<T: redis::FromRedisValue>(
        &self,
        key: &str,
        most: &str,
    ) -> Result<Vec<T>, StoreError> {
        let mut pipeline = redis::pipe();
        pipeline.cmd("ZRANGE").arg(key).arg("-inf").arg(most).arg("BYSCORE");
        pipeline.arg("LIMIT").arg(0).arg(AT_ONCE);
        let answers = values(self.link.ask(Exchange::Commands(&pipeline)).await?)?;
        read(answers.into_iter().next().unwrap_or(redis::Value::Nil))
    }
}
