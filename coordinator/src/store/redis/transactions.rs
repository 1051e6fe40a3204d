//! Runs an operation as one atomic step: read, compute, commit if nothing has changed; otherwise once more.

use std::collections::BTreeSet;
use std::time::Duration;

use redis::Script;
use ulid::Ulid;

use super::RedisStore;
use super::changes::{Changes, Guard, script_arguments};
use super::history::Seen;
use super::link::Exchange;
use super::load::{self, load};
use super::step::{Known, Step, Want};
use crate::store::StoreError;
use crate::store::record::StoreTime;

/// Attempts at one step. Each one that is lost to a race was lost to another's success.
const ATTEMPTS: u32 = 40;
/// Before an attempt that follows a lost race, at most.
const LONGEST_PAUSE: Duration = Duration::from_millis(16);
/// How long the server remembers a commit: longer than anyone sends it again.
const COMMITS_KEPT: Duration = Duration::from_secs(60);
/// Changes kept in the stream for coordinators that fall behind.
const EVENTS_KEPT: usize = 10_000;

/// The commit script, for those who may be refused memory and for those who may not.
pub(super) struct CommitScripts {
    within_memory: Script,
    beyond_memory: Script,
    /// Writes something, for a WAIT to wait for it.
    acknowledge_again: Script,
}

const ACKNOWLEDGE_AGAIN: &str =
    "#!lua flags=allow-oom\nreturn redis.call('HINCRBY', KEYS[1], 'acknowledged_again', 1)";

impl CommitScripts {
    pub(super) fn new() -> Self {
        Self {
            within_memory: Script::new(concat!(
                "#!lua\n",
                include_str!("order.lua"),
                include_str!("commit.lua")
            )),
            beyond_memory: Script::new(concat!(
                "#!lua flags=allow-oom\n",
                include_str!("order.lua"),
                include_str!("commit.lua")
            )),
            acknowledge_again: Script::new(ACKNOWLEDGE_AGAIN),
        }
    }
}

/// How a step is to be taken.
#[derive(Debug, Clone, Default)]
pub(super) struct Terms {
    /// To be read at once; what else is needed is read when it is asked for.
    pub(super) wants: BTreeSet<Want>,
    /// Goes on with what was done at this time.
    pub(super) since: Option<StoreTime>,
    /// It makes the store grow, and is refused when the server's memory is short.
    pub(super) grows: bool,
    /// It is acknowledged to somebody, so the promised replicas must have it.
    pub(super) acknowledged: bool,
}

impl Terms {
    pub(super) fn wanting(wants: impl IntoIterator<Item = Want>) -> Self {
        Self { wants: wants.into_iter().collect(), ..Self::default() }
    }
}

impl RedisStore {
    /// Takes a step. `operation` may run several times, and its changes take effect once.
    pub(super) async fn step<R>(
        &self,
        terms: Terms,
        operation: impl Fn(&mut Step<'_>) -> Result<R, StoreError>,
    ) -> Result<R, StoreError> {
        for attempt in 0..ATTEMPTS {
            self.pause(attempt).await;
            let mut step = Step::new(&self.keys, self.times, &self.policy);
            let seen = self.read(&terms, &mut step).await?;
            if let Some(result) = self.take(&terms, &seen, step, &operation).await? {
                return Ok(result);
            }
        }
        Err(StoreError::Unavailable {
            reason: format!("others changed the same task {ATTEMPTS} times meanwhile: try again"),
        })
    }

    /// Takes a step over what has been read, once. `None` where something of that has changed meanwhile.
    pub(super) async fn take<R>(
        &self,
        terms: &Terms,
        seen: &Seen,
        mut step: Step<'_>,
        operation: impl Fn(&mut Step<'_>) -> Result<R, StoreError>,
    ) -> Result<Option<R>, StoreError> {
        let result = self.run(terms, seen, &mut step, &operation).await?;
        let Some((known, changes, guards)) = step.finish()? else {
            self.acknowledge_earlier(terms).await?;
            return Ok(Some(result));
        };
        let committed = self.commit(terms, seen, known, changes, guards).await?;
        Ok(committed.then_some(result))
    }

    /// Reads what is wanted at once, and the time, from a store that lacks nothing of what was seen in it. Gives what had
    /// been seen before.
    pub(super) async fn read(&self, terms: &Terms, step: &mut Step<'_>) -> Result<Seen, StoreError> {
        let mut asked_anew = false;
        for _ in 0..ATTEMPTS {
            step.known = Known::default();
            let seen = self.history.so_far();
            let facts = load(&self.link, &self.keys, step, &seen, terms.wants.clone()).await?;
            if let Some(missing) = seen.missing_in(&facts) {
                // a server that was demoted may only be behind: a new connection leads to the primary
                if std::mem::replace(&mut asked_anew, true) {
                    self.recover(&seen, &facts, missing).await?;
                } else {
                    self.link.leave().await;
                }
                continue;
            }
            let (now, ahead) = self.clock.at(facts.times, terms.since);
            self.history.note(&facts);
            self.recovery.found(facts.generation, facts.recovering, now);
            step.known.now = now;
            step.known.put_forward = ahead.map(|ahead| (facts.times.ahead_us, ahead));
            step.known.facts = facts;
            return Ok(seen);
        }
        Err(StoreError::Unavailable {
            reason: "it lacks what was seen in it, however often it is asked".to_owned(),
        })
    }

    async fn run<R>(
        &self,
        terms: &Terms,
        seen: &Seen,
        step: &mut Step<'_>,
        operation: impl Fn(&mut Step<'_>) -> Result<R, StoreError>,
    ) -> Result<R, StoreError> {
        loop {
            let result = operation(step);
            let wanted = step.take_wanted();
            if wanted.is_empty() {
                return result;
            }
            // a number is for something new
            if terms.grows && wanted.contains(&Want::Number) {
                self.memory.has_room()?;
            }
            load(&self.link, &self.keys, step, seen, wanted).await?;
        }
    }

    /// Between attempts: at random, and longer each time.
    pub(super) async fn pause(&self, attempt: u32) {
        if attempt > 0 {
            let most = Duration::from_millis(1 << attempt.min(8)).min(LONGEST_PAUSE);
            tokio::time::sleep(most.mul_f64(rand::random::<f64>())).await;
        }
    }

    /// True where the changes stand; false where something that they rest on has changed.
    pub(super) async fn commit(
        &self,
        terms: &Terms,
        seen: &Seen,
        known: Known,
        mut changes: Changes,
        guards: Vec<Guard>,
    ) -> Result<bool, StoreError> {
        if terms.grows {
            self.memory.has_room()?;
        }
        changes.push("INCR", self.keys.commits_of(&seen.counter), Vec::new());
        let (named, arguments) = script_arguments(changes, guards);
        let script = if terms.grows { &self.scripts.within_memory } else { &self.scripts.beyond_memory };
        let keys = &self.keys;
        let mut call = script.prepare_invoke();
        call.key(keys.commit(&Ulid::generate().to_string()));
        let fixed = [
            keys.meta(),
            keys.events(),
            keys.queue(),
            keys.turns(),
            keys.nodes(),
            keys.idle(),
            keys.in_flight(),
            keys.kept_back(),
        ];
        for key in fixed {
            call.key(key);
        }
        for key in named {
            call.key(key);
        }
        call.arg(known.now.0).arg(u64::try_from(COMMITS_KEPT.as_millis()).unwrap_or(u64::MAX));
        call.arg(EVENTS_KEPT);
        for argument in arguments {
            call.arg(argument);
        }
        let answer = match self.acknowledging.as_ref().filter(|_| terms.acknowledged) {
            Some(promise) => {
                let awaited = Some((promise.replicas, promise.within));
                promise.link.ask_acknowledged(Exchange::Script(&call), awaited).await?
            }
            None => self.link.ask(Exchange::Script(&call)).await?,
        };
        let answer: String = load::read(answer)?;
        let stands = answer == "OK";
        if stands {
            self.history.answered(&seen.counter, known.now);
        }
        Ok(stands)
    }

    /// What is acknowledged again may have been stored on the primary alone: writes something after it and waits for
    /// the replicas to have that.
    pub(super) async fn acknowledge_earlier(&self, terms: &Terms) -> Result<(), StoreError> {
        let Some(promise) = self.acknowledging.as_ref().filter(|_| terms.acknowledged) else {
            return Ok(());
        };
        let mut call = self.scripts.acknowledge_again.prepare_invoke();
        call.key(self.keys.meta());
        let awaited = Some((promise.replicas, promise.within));
        promise.link.ask_acknowledged(Exchange::Script(&call), awaited).await?;
        Ok(())
    }
}
