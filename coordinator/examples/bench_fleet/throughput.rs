//! Tasks a second from submit to settled, with several clients that submit and several workers that do nothing.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use anyhow::Context;
use likeness_shared::client::Client;
use likeness_shared::proto::coordinator_message::Message;
use likeness_shared::proto::settle_request::Outcome;
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinSet;

use crate::figures::{Figures, Target, median};
use crate::processes::{CoordinatorProcess, Redis};
use crate::submits::submit;
use crate::worker::{Worker, picture};

const CLIENTS: usize = 4;
/// Submits under way at one time, of each client.
const SUBMITS_AT_A_TIME: usize = 32;
const WORKERS: usize = 4;
const SLOTS: usize = 64;
const USERS: usize = 100;

pub(crate) async fn measure(
    program: &Path,
    tasks: usize,
    repeats: usize,
    figures: &mut Figures,
) -> anyhow::Result<()> {
    for (appendfsync, least) in [("everysec", 2000.0), ("always", 500.0)] {
        let mut rates = Vec::new();
        for _ in 0..repeats {
            rates.push(run(program, appendfsync, tasks).await?);
        }
        let name = format!("end to end, appendfsync {appendfsync}");
        figures.aim(name, median(rates), "tasks/s", Target::AtLeast(least));
    }
    Ok(())
}

async fn run(program: &Path, appendfsync: &str, tasks: usize) -> anyhow::Result<f64> {
    let redis = Redis::start(appendfsync).await?;
    let coordinator = CoordinatorProcess::start(program, &redis).await?;
    let result = picture(&Client::connect(coordinator.address()).await?).await?;
    let settled = Arc::new(Settled { left: AtomicUsize::new(tasks), all: Notify::new() });
    let mut workers = JoinSet::new();
    for index in 0..WORKERS {
        let worker = Worker::join(coordinator.address(), &format!("worker-{index}")).await?;
        workers.spawn(work(worker, result.clone(), Arc::clone(&settled)));
    }
    let began = Instant::now();
    let mut clients = JoinSet::new();
    for index in 0..CLIENTS {
        let client = Client::connect(coordinator.address()).await?;
        clients.spawn(submit_all(client, (index..tasks).step_by(CLIENTS)));
    }
    while let Some(ended) = clients.join_next().await {
        ended??;
    }
    let submitted = began.elapsed();
    tokio::select! {
        () = settled.all.notified() => {}
        failed = workers.join_next() => failed.context("no worker is left")??.context("a worker has failed")?,
    }
    let rate = tasks as f64 / began.elapsed().as_secs_f64();
    eprintln!("  {appendfsync}: {rate:.0} tasks/s ({:.0} submits/s)", tasks as f64 / submitted.as_secs_f64());
    redis.tell_commands().await?;
    Ok(rate)
}

struct Settled {
    left: AtomicUsize,
    all: Notify,
}

async fn submit_all(client: Client, tasks: impl Iterator<Item = usize>) -> anyhow::Result<()> {
    let mut under_way = JoinSet::new();
    for task in tasks {
        if under_way.len() == SUBMITS_AT_A_TIME
            && let Some(ended) = under_way.join_next().await
        {
            ended??;
        }
        let client = client.clone();
        under_way.spawn(async move { submit(&client, task % USERS).await });
    }
    while let Some(ended) = under_way.join_next().await {
        ended??;
    }
    Ok(())
}

/// Settles whatever comes, at once.
async fn work(mut worker: Worker, result: Outcome, settled: Arc<Settled>) -> anyhow::Result<()> {
    let slots = Arc::new(Semaphore::new(SLOTS));
    let mut running = JoinSet::new();
    worker.voice.credit(u32::try_from(SLOTS)?).await?;
    loop {
        let message = tokio::select! {
            message = worker.next() => message?,
            Some(ended) = running.join_next() => {
                ended??;
                continue;
            }
        };
        let Message::Lease(lease) = message else { continue };
        let slot = Arc::clone(&slots).acquire_owned().await?;
        let (voice, result, settled) = (worker.voice.clone(), result.clone(), Arc::clone(&settled));
        let slots = Arc::clone(&slots);
        running.spawn(async move {
            voice.settle(&lease, result).await?;
            drop(slot);
            voice.credit(u32::try_from(slots.available_permits())?).await?;
            if settled.left.fetch_sub(1, Ordering::SeqCst) == 1 {
                settled.all.notify_one();
            }
            anyhow::Ok(())
        });
    }
}
