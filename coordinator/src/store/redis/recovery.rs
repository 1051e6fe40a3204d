//! What happens when the store went back to older data: a stale replica was promoted, a backup was restored, a server
//! lost the end of its log.
//!
//! Work that the store takes for waiting may be under way, so for one TTL of leases nothing is leased and nothing is
//! taken from a worker; the mark lies in the store, where all coordinators see it. Meanwhile each asks its workers
//! what they hold ([`StoreHealth::generation`]), and the store takes back every lease that is newer than what it
//! knows. A coordinator notices by what it remembers (`history.rs`), and by workers who report under leases of which
//! the store knows nothing: that tells it even to one that has just started.

use std::sync::atomic::{AtomicBool, Ordering};

use likeness_shared::ids::{Fence, TaskId};
use redis::Script;
use tokio::sync::watch;
use ulid::Ulid;

use super::RedisStore;
use super::history::{Facts, Seen};
use super::link::Exchange;
use super::load::read;
use super::step::Step;
use super::transactions::Terms;
use crate::store::record::StoreTime;
use crate::store::workspace::Workspace;
use crate::store::{Condition, StoreError, StoreHealth};

/// What recovering needs: the script, the condition that others watch, and a lock so that it is begun once.
pub(super) struct Recovery {
    script: Script,
    health: watch::Sender<StoreHealth>,
    beginning: tokio::sync::Mutex<()>,
}

impl Recovery {
    pub(super) fn new() -> Self {
        Self {
            script: Script::new(concat!("#!lua flags=allow-oom\n", include_str!("recover.lua"))),
            health: watch::Sender::new(StoreHealth::default()),
            beginning: tokio::sync::Mutex::new(()),
        }
    }

    pub(super) fn watch(&self) -> watch::Receiver<StoreHealth> {
        self.health.subscribe()
    }

    /// What was found of the store.
    pub(super) fn found(&self, generation: u64, recovering: StoreTime, now: StoreTime) {
        let condition =
            if recovering > now { Condition::Recovering { until: recovering } } else { Condition::Ready };
        self.is(StoreHealth { condition, generation });
    }

    /// It cannot be reached.
    pub(super) fn away(&self) {
        let generation = self.health.borrow().generation;
        self.is(StoreHealth { condition: Condition::Away, generation });
    }

    fn is(&self, found: StoreHealth) {
        let changed = self.health.send_if_modified(|health| {
            let changed = *health != found;
            *health = found;
            changed
        });
        if changed {
            tracing::info!(condition = ?found.condition, generation = found.generation, "the task store's condition");
        }
    }
}

impl RedisStore {
    /// Begins to recover from the loss of what was seen `before`, unless that has been begun.
    pub(super) async fn recover(&self, before: &Seen, facts: &Facts, why: &str) -> Result<(), StoreError> {
        let _alone = self.recovery.beginning.lock().await;
        if before.counter != self.history.so_far().counter {
            return Ok(());
        }
        let (now, _) = self.clock.at(facts.times, None);
        let newest = before.newest.max(facts.times.newest);
        let until = now.max(newest).plus(self.times.lease_ttl);
        let mut call = self.recovery.script.prepare_invoke();
        call.key(self.keys.meta()).arg(facts.generation).arg(newest.0).arg(until.0);
        call.arg(Ulid::generate().to_string());
        let (generation, until): (u64, u64) = read(self.link.ask(Exchange::Script(&call)).await?)?;
        self.history.begins_anew(before);
        tracing::error!(
            why,
            generation,
            "the task store went back to older data: nothing is leased for one lease_ttl, and workers are asked what they hold"
        );
        self.recovery.found(generation, StoreTime(until), now);
        Ok(())
    }

    /// Begins to recover because a worker holds a lease that the store does not know, unless it is recovering.
    async fn recover_as_witnessed(&self) -> Result<(), StoreError> {
        let look = |step: &mut Step<'_>| Ok((step.is_recovering(), step.known.facts.clone()));
        let (recovering, facts) = self.step(Terms::default(), look).await?;
        if recovering {
            return Ok(());
        }
        let before = self.history.so_far();
        self.recover(&before, &facts, "a worker holds a lease that it does not know").await
    }

    /// Takes a step of a worker that speaks of leases it holds. One that the store does not know is a loss: the
    /// worker must not be told that it is over, but asked for all that it holds.
    pub(super) async fn witnessed<R>(
        &self,
        terms: Terms,
        leases: &[(TaskId, Fence)],
        operation: impl Fn(&mut Step<'_>) -> Result<R, StoreError>,
    ) -> Result<R, StoreError> {
        for asked_anew in [false, true] {
            let unknown = AtomicBool::new(false);
            let answer = self.changed(terms.clone(), |step| {
                if newer_than_known(step, leases)? {
                    unknown.store(true, Ordering::SeqCst);
                    return Err(lost_lease());
                }
                operation(step)
            });
            let answer = answer.await;
            if !unknown.into_inner() {
                return answer;
            }
            if asked_anew {
                self.recover_as_witnessed().await?;
            } else {
                // a server that was demoted may only be behind: a new connection leads to the primary
                self.link.leave().await;
            }
        }
        Err(lost_lease())
    }

    /// As [`Self::witnessed`], but takes such leases back.
    pub(super) async fn readopted(
        &self,
        terms: Terms,
        leases: &[(TaskId, Fence)],
        operation: impl Fn(&mut Step<'_>) -> Result<Vec<bool>, StoreError>,
    ) -> Result<Vec<bool>, StoreError> {
        let unknown = AtomicBool::new(false);
        let answer = self.changed(terms, |step| {
            unknown.store(newer_than_known(step, leases)?, Ordering::SeqCst);
            operation(step)
        });
        let answer = answer.await?;
        if unknown.into_inner() {
            self.recover_as_witnessed().await?;
        }
        Ok(answer)
    }
}

fn lost_lease() -> StoreError {
    StoreError::Unavailable {
        reason: "it has lost this lease, and takes it back when the worker greets anew".to_owned(),
    }
}

/// Whether a lease was given after the newest one that the store knows of its task.
fn newer_than_known(step: &Step<'_>, leases: &[(TaskId, Fence)]) -> Result<bool, StoreError> {
    for (id, fence) in leases {
        let live = step.find_task(*id)?.filter(|task| !task.state.is_terminal());
        if live.is_some_and(|task| task.last_fence < *fence) {
            return Ok(true);
        }
    }
    Ok(false)
}
