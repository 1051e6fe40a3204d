//! From a client's cancel to the word at the worker that runs the task.

use std::path::Path;
use std::time::Instant;

use likeness_shared::client::Client;
use likeness_shared::proto::CancelledSettlement;
use likeness_shared::proto::coordinator_message::Message;
use likeness_shared::proto::settle_request::Outcome;

use crate::figures::{Figures, Samples, Target};
use crate::processes::{CoordinatorProcess, Redis};
use crate::submits::submit;
use crate::worker::Worker;

const TASKS: usize = 500;

pub(crate) async fn measure(program: &Path, figures: &mut Figures) -> anyhow::Result<()> {
    let redis = Redis::start("everysec").await?;
    let coordinator = CoordinatorProcess::start(program, &redis).await?;
    let client = Client::connect(coordinator.address()).await?;
    let mut worker = Worker::join(coordinator.address(), "worker").await?;
    let mut samples = Samples::default();
    for _ in 0..TASKS {
        worker.voice.credit(1).await?;
        let (id, lease) = tokio::try_join!(submit(&client, 0), worker.lease())?;
        let began = Instant::now();
        let told = async {
            while !matches!(worker.next().await?, Message::Cancel(_)) {}
            Ok(began.elapsed())
        };
        let asked = async { client.cancel_task(id).await.map_err(anyhow::Error::from) };
        samples.add(tokio::try_join!(asked, told)?.1);
        worker.voice.settle(&lease, Outcome::Cancelled(CancelledSettlement {})).await?;
    }
    figures.add("cancel, asked to told at the worker, p50", samples.quantile(0.5), "ms");
    let p99 = samples.quantile(0.99);
    figures.aim("cancel, asked to told at the worker, p99", p99, "ms", Target::AtMost(250.0));
    Ok(())
}
