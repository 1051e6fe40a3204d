//! One task that a thousand clients watch: how long one change takes to reach them.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;
use likeness_shared::client::Client;
use likeness_shared::ids::TaskId;
use likeness_shared::proto::{Progress, TaskBeat};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::figures::{Figures, Samples};
use crate::processes::{CoordinatorProcess, Redis};
use crate::submits::submit;
use crate::worker::Worker;

const WATCHERS: usize = 1000;
const WATCHERS_A_CONNECTION: usize = 100;
const CHANGES: u32 = 20;
/// For a change to reach everybody.
const SOON: Duration = Duration::from_secs(20);

pub(crate) async fn measure(program: &Path, figures: &mut Figures) -> anyhow::Result<()> {
    let redis = Redis::start("everysec").await?;
    let coordinator = CoordinatorProcess::start(program, &redis).await?;
    let client = Client::connect(coordinator.address()).await?;
    let mut worker = Worker::join(coordinator.address(), "worker").await?;
    worker.voice.credit(1).await?;
    let (id, lease) = tokio::try_join!(submit(&client, 0), worker.lease())?;

    let (reached, mut arrivals) = mpsc::channel(WATCHERS);
    let (mut watchers, mut connections) = (JoinSet::new(), Vec::new());
    for index in 0..WATCHERS {
        if index % WATCHERS_A_CONNECTION == 0 {
            connections.push(Client::connect(coordinator.address()).await?);
        }
        let client = connections.last().context("no connection")?.clone();
        watchers.spawn(watch(client, id, reached.clone()));
    }
    let (mut each, mut all) = (Samples::default(), Samples::default());
    for step in 0..=CHANGES {
        let began = Instant::now();
        let report = Progress { step, total_steps: CHANGES, phase: "draw".to_owned(), ..Progress::default() };
        let beat = TaskBeat {
            task_id: lease.task_id.clone(),
            fence: lease.fence,
            progress: Some(report),
            ..TaskBeat::default()
        };
        let told = async {
            for _ in 0..WATCHERS {
                while arrivals.recv().await.context("no watcher is left")? != step {}
                if step > 0 {
                    each.add(began.elapsed());
                }
            }
            anyhow::Ok(())
        };
        let (_, told) = tokio::try_join!(worker.beat(vec![beat]), async { Ok(timeout(SOON, told).await?) })?;
        told?;
        // the first report finds the watchers still arriving
        if step > 0 {
            all.add(began.elapsed());
        }
    }
    figures.add("watch, a change to one of 1,000 watchers, p50", each.quantile(0.5), "ms");
    figures.add("watch, a change to all of 1,000 watchers, p50", all.quantile(0.5), "ms");
    figures.add("watch, a change to all of 1,000 watchers, max", all.quantile(1.0), "ms");
    figures.add("coordinator with 1,000 watchers, resident", coordinator.resident_mib()?, "MiB");
    watchers.shutdown().await;
    Ok(())
}

/// Tells the step of every state that arrives.
async fn watch(client: Client, id: TaskId, reached: mpsc::Sender<u32>) -> anyhow::Result<()> {
    let mut states = client.watch_task_once(id, 0).await?;
    while let Some(state) = states.message().await? {
        let progress = state.task.and_then(|task| task.progress);
        if let Some(progress) = progress {
            reached.send(progress.step).await?;
        }
    }
    Ok(())
}
