//! Runs an operation as one atomic step: read, compute, commit if nothing has changed; otherwise once more.

use std::collections::BTreeSet;
use std::time::Duration;

use redis::Script;
use ulid::Ulid;

use super::RedisStore;
use super::changes::{Changes, Guard, script_arguments};
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
}

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
    /// It makes the store grow, and is refused when the server's memory is full.
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
            self.read(&terms, &mut step).await?;
            if let Some(result) = self.take(&terms, step, &operation).await? {
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
        mut step: Step<'_>,
        operation: impl Fn(&mut Step<'_>) -> Result<R, StoreError>,
    ) -> Result<Option<R>, StoreError> {
        let result = self.run(&mut step, &operation).await?;
        let Some((known, changes, guards)) = step.finish()? else {
            self.acknowledge_earlier(terms).await?;
            return Ok(Some(result));
        };
        let committed = self.commit(terms, known, changes, guards).await?;
        Ok(committed.then_some(result))
    }

    /// Reads what is wanted at once, and the time.
    pub(super) async fn read(&self, terms: &Terms, step: &mut Step<'_>) -> Result<(), StoreError> {
        let times = load(&self.link, &self.keys, step, terms.wants.clone()).await?;
        let (now, ahead) = self.clock.at(times, terms.since);
        step.known.now = now;
        step.known.put_forward = ahead.map(|ahead| (times.ahead_us, ahead));
        Ok(())
    }

    async fn run<R>(
        &self,
        step: &mut Step<'_>,
        operation: impl Fn(&mut Step<'_>) -> Result<R, StoreError>,
    ) -> Result<R, StoreError> {
        loop {
            let result = operation(step);
            let wanted = step.take_wanted();
            if wanted.is_empty() {
                return result;
            }
            load(&self.link, &self.keys, step, wanted).await?;
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
    async fn commit(
        &self,
        terms: &Terms,
        known: Known,
        changes: Changes,
        guards: Vec<Guard>,
    ) -> Result<bool, StoreError> {
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
        Ok(answer == "OK")
    }

    /// What is acknowledged again may have been stored on the primary alone: writes something after it and waits for
    /// the replicas to have that.
    async fn acknowledge_earlier(&self, terms: &Terms) -> Result<(), StoreError> {
        let Some(promise) = self.acknowledging.as_ref().filter(|_| terms.acknowledged) else {
            return Ok(());
        };
        let mut pipeline = redis::pipe();
        pipeline.cmd("HINCRBY").arg(self.keys.meta()).arg("acknowledged_again").arg(1);
        let awaited = Some((promise.replicas, promise.within));
        promise.link.ask_acknowledged(Exchange::Commands(&pipeline), awaited).await?;
        Ok(())
    }
}
