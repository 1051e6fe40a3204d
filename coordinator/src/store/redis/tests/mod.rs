//! The store in Redis, against real servers.

mod faults;
mod memory;
mod races;
mod recovery;
#[path = "../../../../tests/support/redis_server.rs"]
mod redis_server;
mod replication;
mod scrub;
mod sentinel;
#[path = "../../../../tests/support/sentinels.rs"]
mod sentinels;
#[path = "../../../../tests/support/signpost.rs"]
mod signpost;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use proptest::prelude::*;
use redis_server::RedisServer;
use signpost::Signpost;

use crate::store::conformance::{
    Bench, Breakable, clock, conformance_tests, random, side_by_side, tight_policy, times,
};
use crate::store::embedded::tests::FileBench;
use crate::store::fair::FairPolicy;
use crate::store::redis::changes::Changes;
use crate::store::redis::scrub_rows::Place;
use crate::store::redis::step::Known;
use crate::store::redis::transactions::Terms;
use crate::store::redis::{Durability, RedisClock, RedisSettings, RedisStore};
use crate::store::scrub::{Difference, Is};
use crate::store::workspace::Workspace;
use crate::store::{StoreError, TaskStore};

fn settings(url: String, fleet: &str, clock: RedisClock) -> RedisSettings {
    RedisSettings {
        address: url.parse().unwrap(),
        sentinel_password: String::new(),
        fleet: fleet.to_owned(),
        durability: Durability::Strict,
        replicas: 0,
        memory_share: 0.8,
        connect_timeout: Duration::from_secs(2),
        command_timeout: Duration::from_secs(5),
        times: times(),
        policy: FairPolicy::default(),
        clock,
    }
}

/// A fleet on a server, and the clock of its store.
struct RedisBench<'s> {
    server: &'s RedisServer,
    fleet: String,
    clock: Arc<AtomicU64>,
    policy: FairPolicy,
}

impl<'s> RedisBench<'s> {
    fn on(server: &'s RedisServer) -> Self {
        Self::with_policy(server, FairPolicy::default())
    }

    fn with_policy(server: &'s RedisServer, policy: FairPolicy) -> Self {
        static FLEETS: AtomicUsize = AtomicUsize::new(0);
        let fleet = format!("test-{}", FLEETS.fetch_add(1, Ordering::SeqCst));
        Self { server, fleet, clock: clock(), policy }
    }

    fn settings(&self) -> RedisSettings {
        let clock = RedisClock::Manual(Arc::clone(&self.clock));
        RedisSettings { policy: self.policy.clone(), ..settings(self.server.url(), &self.fleet, clock) }
    }

    async fn store(&self) -> RedisStore {
        RedisStore::open(self.settings()).await.unwrap()
    }
}

#[async_trait]
impl Bench for RedisBench<'_> {
    fn clock(&self) -> &Arc<AtomicU64> {
        &self.clock
    }

    fn policy(&self) -> &FairPolicy {
        &self.policy
    }

    async fn open_breakable(&self, policy: FairPolicy) -> Arc<dyn Breakable> {
        let settings = RedisSettings { policy, ..self.settings() };
        Arc::new(RedisStore::open(settings).await.unwrap())
    }
}

#[async_trait]
impl Breakable for RedisStore {
    async fn damage(&self, damage: &[Difference]) {
        let mut changes = Changes::default();
        for Difference { row, is } in damage {
            let place = |row| Place::of(&self.keys, row).unwrap();
            match is {
                Is::Missing => place(row).remove(&mut changes),
                Is::LeftOver => place(row).write(&mut changes),
                Is::Different(wrong) => place(wrong).write(&mut changes),
            }
        }
        let now = self.step(Terms::default(), |step| Ok(step.now())).await.unwrap();
        let (seen, known) = (self.history.so_far(), Known { now, ..Known::default() });
        assert!(self.commit(&Terms::default(), &seen, known, changes, Vec::new()).await.unwrap());
    }

    fn keeps_order_apart(&self) -> bool {
        true
    }
}

conformance_tests!(RedisBench::on(&RedisServer::start()));

#[test]
fn random_lives_leave_both_stores_in_the_same_state() {
    let server = RedisServer::start();
    let config = ProptestConfig { cases: 64, max_shrink_iters: 400, ..ProptestConfig::default() };
    proptest!(config, |(steps in prop::collection::vec(random::step(), 1..90))| {
        let model = FileBench::with_policy(tight_policy());
        let bench = RedisBench::with_policy(&server, tight_policy());
        random::block_on(side_by_side::live(&model, &bench, steps));
    });
}
