//! From submit to lease, at a worker that has nothing to do.

use std::path::Path;
use std::time::Instant;

use likeness_shared::client::Client;

use crate::figures::{Figures, Samples, Target};
use crate::processes::{CoordinatorProcess, Redis};
use crate::submits::submit;
use crate::worker::{Worker, picture};

const WARM_UP: usize = 50;
const TASKS: usize = 1000;

pub(crate) async fn measure(program: &Path, figures: &mut Figures) -> anyhow::Result<()> {
    let redis = Redis::start("everysec").await?;
    let coordinator = CoordinatorProcess::start(program, &redis).await?;
    let client = Client::connect(coordinator.address()).await?;
    let result = picture(&client).await?;
    let mut worker = Worker::join(coordinator.address(), "worker").await?;
    worker.voice.credit(1).await?;
    let mut samples = Samples::default();
    for index in 0..WARM_UP + TASKS {
        let began = Instant::now();
        let (_, lease) = tokio::try_join!(submit(&client, 0), async {
            let lease = worker.lease().await?;
            Ok((lease, began.elapsed()))
        })?;
        if index >= WARM_UP {
            samples.add(lease.1);
        }
        worker.voice.settle(&lease.0, result.clone()).await?;
        worker.voice.credit(1).await?;
    }
    let name = "assign, submit to lease at an idle worker";
    figures.aim(format!("{name}, p50"), samples.quantile(0.5), "ms", Target::AtMost(5.0));
    figures.aim(format!("{name}, p99"), samples.quantile(0.99), "ms", Target::AtMost(20.0));
    redis.tell_commands().await
}
