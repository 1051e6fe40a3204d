//! One user with 10,000 tasks among 200 users with one each, on the real fleet: what the 200 wait, against a fleet
//! that has nothing else to do.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use likeness_shared::client::Client;
use likeness_shared::proto::settle_request::Outcome;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::figures::{Figures, Samples, Target};
use crate::processes::{CoordinatorProcess, Redis};
use crate::submits::submit;
use crate::worker::{Worker, picture};

const FLOOD: usize = 10_000;
const OTHERS: usize = 200;
const WORKERS: usize = 20;
/// What every task takes.
const TASK: Duration = Duration::from_millis(200);
/// Between two of the others.
const BETWEEN: Duration = Duration::from_millis(25);
const SUBMITS_AT_A_TIME: usize = 64;
const SOON: Duration = Duration::from_secs(120);

pub(crate) async fn measure(program: &Path, figures: &mut Figures) -> anyhow::Result<()> {
    let mut alone = waits(program, 0).await?;
    let mut flooded = waits(program, FLOOD).await?;
    for (name, waits) in [("an empty fleet", &mut alone), ("a flood of 10,000", &mut flooded)] {
        figures.add(format!("wait of 200 users in {name}, p50"), waits.quantile(0.5), "ms");
        figures.add(format!("wait of 200 users in {name}, p99"), waits.quantile(0.99), "ms");
    }
    // 20 workers, tasks of 200 ms: one task and what an assignment may take
    let most = flooded.quantile(1.0);
    figures.aim("wait of 200 users in a flood of 10,000, max", most, "ms", Target::AtMost(220.0));
    Ok(())
}

async fn waits(program: &Path, flood: usize) -> anyhow::Result<Samples> {
    let redis = Redis::start("everysec").await?;
    let coordinator = CoordinatorProcess::start(program, &redis).await?;
    let client = Client::connect(coordinator.address()).await?;
    let result = picture(&client).await?;
    let mut under_way = JoinSet::new();
    for _ in 0..flood {
        if under_way.len() == SUBMITS_AT_A_TIME
            && let Some(ended) = under_way.join_next().await
        {
            ended??;
        }
        let client = client.clone();
        under_way.spawn(async move { submit(&client, 0).await.map(drop) });
    }
    while let Some(ended) = under_way.join_next().await {
        ended??;
    }
    let (started, mut starts) = mpsc::channel(1024);
    let mut workers = JoinSet::new();
    for index in 0..WORKERS {
        let worker = Worker::join(coordinator.address(), &format!("worker-{index}")).await?;
        workers.spawn(work(worker, result.clone(), started.clone()));
    }
    let client = Arc::new(client);
    let mut others = JoinSet::new();
    for user in 1..=OTHERS {
        let (client, pause) = (Arc::clone(&client), BETWEEN.mul_f64(user as f64));
        others.spawn(async move {
            sleep(pause).await;
            let began = Instant::now();
            anyhow::Ok((submit(&client, user).await?.to_string(), began))
        });
    }
    let (mut submitted, mut leased, mut samples) = (HashMap::new(), HashMap::new(), Samples::default());
    let all = async {
        while samples.len() < OTHERS {
            tokio::select! {
                Some(other) = others.join_next() => {
                    let (id, began): (String, Instant) = other??;
                    submitted.insert(id, began);
                }
                start = starts.recv() => {
                    let (id, at): (String, Instant) = start.context("no worker is left")?;
                    leased.insert(id, at);
                }
            }
            submitted.retain(|id, began| match leased.get(id) {
                Some(at) => {
                    samples.add(at.duration_since(*began));
                    false
                }
                None => true,
            });
        }
        anyhow::Ok(())
    };
    timeout(SOON, all).await.context("the others are not served")??;
    workers.shutdown().await;
    Ok(samples)
}

/// Takes one task after another.
async fn work(
    mut worker: Worker,
    result: Outcome,
    started: mpsc::Sender<(String, Instant)>,
) -> anyhow::Result<()> {
    loop {
        worker.voice.credit(1).await?;
        let lease = worker.lease().await?;
        started.send((lease.task_id.clone(), Instant::now())).await?;
        sleep(TASK).await;
        worker.voice.settle(&lease, result.clone()).await?;
    }
}
