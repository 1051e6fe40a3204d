//! A thousand workers with nothing to do: the coordinator's memory, and how it answers their beats.

use std::path::Path;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval_at};

use crate::figures::{Figures, Samples, Target};
use crate::processes::{CoordinatorProcess, Redis};
use crate::worker::Worker;

const WORKERS: usize = 1000;
const BEATS: usize = 10;
const BEAT_INTERVAL: Duration = Duration::from_secs(2);

pub(crate) async fn measure(program: &Path, figures: &mut Figures) -> anyhow::Result<()> {
    let redis = Redis::start("everysec").await?;
    let coordinator = CoordinatorProcess::start(program, &redis).await?;
    let alone = coordinator.resident_mib()?;
    let began = Instant::now();
    let mut workers = JoinSet::new();
    for index in 0..WORKERS {
        let worker = Worker::join(coordinator.address(), &format!("worker-{index}")).await?;
        worker.voice.credit(1).await?;
        // spread over the interval, as they are where workers start when they start
        let phase = BEAT_INTERVAL.mul_f64(index as f64 / WORKERS as f64);
        workers.spawn(beat(worker, phase));
    }
    figures.add("1,000 workers, all joined after", began.elapsed().as_secs_f64(), "s");
    let mut samples = Samples::default();
    let mut most: f64 = 0.0;
    while let Some(ended) = workers.join_next().await {
        let (worker, acknowledged) = ended??;
        samples.extend(acknowledged);
        most = most.max(coordinator.resident_mib()?);
        // it stays until all have been measured
        std::mem::drop(worker);
    }
    figures.add("coordinator without workers, resident", alone, "MiB");
    figures.aim("coordinator with 1,000 workers, resident", most, "MiB", Target::AtMost(200.0));
    figures.add("beats of 1,000 workers, answered", samples.len() as f64, "beats");
    figures.add("beats of 1,000 workers, p50", samples.quantile(0.5), "ms");
    figures.add("beats of 1,000 workers, p99", samples.quantile(0.99), "ms");
    Ok(())
}

async fn beat(mut worker: Worker, phase: Duration) -> anyhow::Result<(Worker, Vec<Duration>)> {
    let start = tokio::time::Instant::now() + phase;
    let mut ticks = interval_at(start, BEAT_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut acknowledged = Vec::with_capacity(BEATS);
    for _ in 0..BEATS {
        ticks.tick().await;
        let began = Instant::now();
        worker.beat(Vec::new()).await?;
        acknowledged.push(began.elapsed());
    }
    Ok((worker, acknowledged))
}
