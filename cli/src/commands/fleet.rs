//! A whole fleet in this process: the coordinator and one worker, joined by gRPC over loopback like any other. Only
//! the store (one file), the device (this machine) and the artifact folder differ from a cluster.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use likeness_coordinator::{Coordinator, CoordinatorConfig, Running};
use likeness_faces::config::FacesConfig;
use likeness_worker::{Worker, WorkerConfig, WorkerError};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::pocket;

/// For open calls and watches to end when the fleet stops.
const CLOSE_WITHIN: Duration = Duration::from_secs(5);

/// What to run and where its files lie.
pub(crate) struct FleetOptions {
    /// Store, artifacts and the unpacked pocket model go here.
    pub(crate) data: PathBuf,
    pub(crate) listen: SocketAddr,
    /// Models by name, the first one the default; empty = the pocket model.
    pub(crate) models: Vec<(String, PathBuf)>,
    /// Tasks that the worker takes at once.
    pub(crate) slots: u32,
    /// Networks for faces, here and there; none with the pocket model = its own.
    pub(crate) faces: FacesConfig,
}

/// A running fleet.
pub(crate) struct Fleet {
    coordinator: Running,
    worker: JoinSet<Result<(), WorkerError>>,
    stop_worker: CancellationToken,
}

impl Fleet {
    /// Starts the coordinator, then the worker. The worker loads its model in the background.
    pub(crate) async fn start(options: FleetOptions) -> anyhow::Result<Self> {
        let data = &options.data;
        std::fs::create_dir_all(data)
            .with_context(|| format!("cannot create the folder {}", data.display()))?;
        let mut faces = options.faces;
        let models = if options.models.is_empty() {
            let folder = pocket::unpack(&data.join("models"))?;
            if faces == FacesConfig::default() {
                faces = pocket::faces(&folder)?;
            }
            vec![(pocket::NAME.to_owned(), folder)]
        } else {
            options.models
        };
        let config = CoordinatorConfig {
            listen: options.listen,
            faces: faces.clone(),
            ..CoordinatorConfig::default()
        };
        let coordinator = Coordinator::start(config.with_data_folder(data)).await?;
        let config = WorkerConfig { faces, ..worker_config(coordinator.address(), models, options.slots) };
        let stop_worker = CancellationToken::new();
        let mut worker = JoinSet::new();
        worker.spawn(Worker::run(config, stop_worker.clone()));
        Ok(Self { coordinator, worker, stop_worker })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.coordinator.address()
    }

    /// Resolves when a part has ended by itself, with the reason. It does not while all is well.
    pub(crate) async fn failed(&mut self) -> anyhow::Error {
        let worker = tokio::select! {
            worker = self.worker.join_next() => worker,
            reason = self.coordinator.failed() => return anyhow::anyhow!("the coordinator has failed: {reason}"),
        };
        match worker {
            Some(Ok(Err(error))) => anyhow::Error::new(error).context("the worker has stopped"),
            Some(Err(error)) => anyhow::Error::new(error).context("the worker has crashed"),
            Some(Ok(Ok(()))) | None => anyhow::anyhow!("the worker has stopped by itself"),
        }
    }

    /// The worker checkpoints and hands back what it does, then the coordinator closes.
    pub(crate) async fn shut_down(mut self) {
        self.stop_worker.cancel();
        while let Some(ended) = self.worker.join_next().await {
            if let Ok(Err(error)) = ended {
                tracing::warn!(%error, "the worker did not stop cleanly");
            }
        }
        if !self.coordinator.shutdown(CLOSE_WITHIN).await {
            tracing::warn!("calls were still open and have been cut");
        }
    }
}

fn worker_config(coordinator: SocketAddr, models: Vec<(String, PathBuf)>, slots: u32) -> WorkerConfig {
    WorkerConfig {
        coordinators: vec![format!("http://{coordinator}")],
        default_model: models.first().map(|(name, _)| name.clone()).unwrap_or_default(),
        models: models.into_iter().map(|(name, folder)| (name, folder.into())).collect(),
        slots,
        ..WorkerConfig::default()
    }
}
