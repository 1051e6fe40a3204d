//! At the store itself: claims while 100,000 tasks of 1,000 users wait, in their order, and what a waiting task takes
//! of Redis's memory.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use likeness_coordinator::store::fair::FairPolicy;
use likeness_coordinator::store::record::{Owner, Spec};
use likeness_coordinator::store::{
    Claimant, Durability, NewTask, RedisClock, RedisSettings, RedisStore, StoreTimes, TaskStore,
};
use likeness_shared::ids::{Digest, Incarnation, RequestId};
use likeness_shared::limits::StartTimes;
use likeness_shared::proto::GenerationSpec;
use likeness_shared::redis_address::RedisAddress;
use tokio::task::JoinSet;

use crate::figures::{Figures, Samples, Target};
use crate::processes::Redis;
use crate::submits::TENANT;

const TASKS: usize = 100_000;
const USERS: usize = 1000;
const SUBMITS_AT_A_TIME: usize = 64;
const CLAIMS: usize = 5000;
const WORKERS: usize = 100;

pub(crate) async fn measure(figures: &mut Figures) -> anyhow::Result<()> {
    let redis = Redis::start("everysec").await?;
    let store = Arc::new(RedisStore::open(settings(redis.url().parse()?)).await?);
    let before = redis.used_memory().await?;
    let began = Instant::now();
    let mut under_way = JoinSet::new();
    for task in 0..TASKS {
        if under_way.len() == SUBMITS_AT_A_TIME
            && let Some(ended) = under_way.join_next().await
        {
            ended??;
        }
        let (store, task) = (Arc::clone(&store), new_task(task % USERS)?);
        under_way.spawn(async move { store.submit(task).await.map(drop) });
    }
    while let Some(ended) = under_way.join_next().await {
        ended??;
    }
    figures.add("submits at the store", TASKS as f64 / began.elapsed().as_secs_f64(), "tasks/s");
    // commits are remembered for a minute, by keys that are no part of a task
    let kept = redis.used_memory().await? - before - commits(&redis).await?;
    figures.add("memory of a waiting task in Redis", kept / TASKS as f64, "bytes");

    let (mut samples, mut served) = (Samples::default(), BTreeMap::new());
    let mut gap = 0;
    for index in 0..CLAIMS {
        let claimant = Claimant {
            worker: format!("worker-{}", index % WORKERS).parse()?,
            incarnation: Incarnation::generate(),
            pools: vec![String::new()],
            device: String::new(),
        };
        let began = Instant::now();
        let claimed = store.claim(claimant, 1).await?;
        samples.add(began.elapsed());
        for claimed in claimed {
            *served.entry(claimed.task.owner.user.to_string()).or_insert(0) += 1;
        }
        let least = if served.len() < USERS { 0 } else { served.values().min().copied().unwrap_or(0) };
        gap = gap.max(served.values().max().copied().unwrap_or(0) - least);
    }
    let name = "claim with 100,000 waiting of 1,000 users";
    figures.add(format!("{name}, p50"), samples.quantile(0.5), "ms");
    figures.aim(format!("{name}, p99"), samples.quantile(0.99), "ms", Target::AtMost(5.0));
    figures.aim(format!("{name}, gap"), f64::from(gap), "charges", Target::AtMost(2.0));
    redis.tell_commands().await?;
    store.close().await;
    Ok(())
}

/// Memory of the commits that are remembered, in bytes.
async fn commits(redis: &Redis) -> anyhow::Result<f64> {
    let mut connection = redis.client()?.get_multiplexed_async_connection().await?;
    let (mut cursor, mut found, mut example) = (0u64, 0u64, None);
    loop {
        let mut scan = redis::cmd("SCAN");
        scan.arg(cursor).arg("MATCH").arg("*:commit:*").arg("COUNT").arg(10_000);
        let (next, keys): (u64, Vec<String>) = scan.query_async(&mut connection).await?;
        found += keys.len() as u64;
        example = keys.into_iter().next().or(example);
        cursor = next;
        if cursor == 0 {
            break;
        }
    }
    let Some(example) = example else { return Ok(0.0) };
    let bytes: Option<u64> =
        redis::cmd("MEMORY").arg("USAGE").arg(example).query_async(&mut connection).await?;
    // its time of expiry is in a table of its own
    Ok(found as f64 * (bytes.unwrap_or(0) as f64 + 40.0))
}

fn settings(address: RedisAddress) -> RedisSettings {
    RedisSettings {
        address,
        sentinel_password: String::new(),
        memory_share: 0.8,
        fleet: "bench".to_owned(),
        durability: Durability::Strict,
        replicas: 0,
        connect_timeout: Duration::from_secs(1),
        command_timeout: Duration::from_secs(5),
        times: StoreTimes {
            lease_ttl: Duration::from_secs(600),
            request_ids: Duration::from_secs(86_400),
            ended_tasks: Duration::from_secs(86_400),
        },
        policy: FairPolicy::default(),
        clock: RedisClock::Server,
    }
}

fn new_task(user: usize) -> anyhow::Result<NewTask> {
    let owner = Owner { tenant: TENANT.parse()?, user: format!("user-{user}").parse()? };
    let spec = GenerationSpec {
        prompt: "a castle by the sea".to_owned(),
        steps: Some(50),
        pictures: Some(1),
        guidance_scale: Some(7.5),
        ..GenerationSpec::default()
    };
    Ok(NewTask {
        owner,
        request: RequestId::generate(),
        body: Digest::of(b"a castle by the sea"),
        spec: Spec::Generation(spec),
        times: StartTimes::default(),
    })
}
