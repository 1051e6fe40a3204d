//! Starting and stopping: everything is checked and opened before anything is served, and stopping has an end.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use likeness_shared::proto::GoAway;
use likeness_shared::proto::coordinator_message::Message;
use likeness_shared::redis_address::{Connector, Patience};
use likeness_shared::series::RedisSeries;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

use crate::api::{self, DescriptionError, Shared, TaskFeed, TaskSeries};
use crate::artifact_store::{ArtifactStore, FolderError};
use crate::config::{ConfigError, CoordinatorConfig, StoreLocation};
use crate::inventory;
use crate::photo_checks::PhotoChecks;
use crate::scheduler::{Roster, Scheduler};
use crate::scrubber::{Scrubber, scrub_now_and_then};
use crate::store::fair::FairPolicy;
use crate::store::{
    EmbeddedStore, RedisClock, RedisSettings, RedisStore, StoreClock, StoreError, StoreTimes, TaskStore,
};

/// Why a coordinator cannot start. Nothing is left running.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration cannot work.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Something else listens there.
    #[error(
        "{address} is in use: stop what listens there (is another coordinator running?), or choose another port with --listen"
    )]
    AddressInUse {
        /// The address asked for.
        address: SocketAddr,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
    /// The store's folder cannot be made.
    #[error("cannot make the folder {}: {source}", .path.display())]
    Folder {
        /// The folder.
        path: std::path::PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The task store cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The artifact folder cannot be used.
    #[error(transparent)]
    Artifacts(#[from] FolderError),
    /// The services cannot be described.
    #[error(transparent)]
    Services(#[from] DescriptionError),
    /// A start-up step was broken off.
    #[error("the start was broken off: {0}")]
    Interrupted(String),
}

/// The coordinator, before it runs.
#[derive(Debug)]
pub struct Coordinator;

/// A running coordinator.
#[derive(Debug)]
pub struct Running {
    address: SocketAddr,
    shared: Shared,
    parts: JoinSet<Part>,
    health: tonic_health::server::HealthReporter,
}

/// How a part of the coordinator ended.
#[derive(Debug)]
enum Part {
    Done,
    Server(Result<(), tonic::transport::Error>),
}

impl Coordinator {
    /// Takes the address, opens store and artifacts, then serves. `Running::address` tells the port where 0 was
    /// asked for.
    pub async fn start(config: CoordinatorConfig) -> Result<Running, StartError> {
        config.validate()?;
        let listener = listen(config.listen).await?;
        let address =
            listener.local_addr().map_err(|source| StartError::Listen { address: config.listen, source })?;
        let store = open_store(&config).await?;
        let series = open_series(&config)?;
        let artifacts = ArtifactStore::open(&config.artifacts, &config.uploads)?;
        let photo_checks = load_photo_checks(&config).await?;
        let shared = Shared {
            config: Arc::new(config),
            store,
            artifacts: Arc::new(artifacts),
            feed: Arc::new(TaskFeed::default()),
            roster: Arc::new(Roster::default()),
            scrubber: Arc::new(Scrubber::default()),
            series,
            photo_checks: photo_checks.map(Arc::new),
            background: TaskTracker::new(),
            stop: CancellationToken::new(),
        };
        let (routes, health) = api::routes(&shared).await?;
        let connections = shared.config.connections.clone();
        let incoming = TcpIncoming::from(listener)
            .with_nodelay(Some(true))
            .with_keepalive(Some(connections.keepalive_interval.max(Duration::from_secs(1))));
        let server = Server::builder()
            .max_concurrent_streams(connections.max_concurrent_streams)
            .initial_stream_window_size(1024 * 1024)
            .initial_connection_window_size(8 * 1024 * 1024)
            .http2_adaptive_window(Some(false))
            .max_frame_size(16 * 1024)
            .http2_keepalive_interval(Some(connections.keepalive_interval))
            .http2_keepalive_timeout(Some(connections.keepalive_timeout))
            .http2_max_header_list_size(16 * 1024)
            .http2_max_pending_accept_reset_streams(Some(64))
            .http2_max_local_error_reset_streams(Some(64))
            .add_routes(routes);
        let mut parts = JoinSet::new();
        let stop = shared.stop.clone();
        let events = shared.store.events();
        let scheduler = Scheduler::new(Arc::clone(&shared.store), Arc::clone(&shared.roster));
        parts.spawn(ended(scheduler.run(stop.clone())));
        parts.spawn(ended(Arc::clone(&shared.feed).run(events, stop.clone())));
        parts.spawn(ended(inventory::ask_workers(shared.clone())));
        parts.spawn(ended(look_for_due(shared.clone())));
        parts.spawn(ended(sweep(shared.clone())));
        parts.spawn(ended(scrub_now_and_then(shared.clone())));
        parts.spawn(async move {
            Part::Server(server.serve_with_incoming_shutdown(incoming, stop.cancelled_owned()).await)
        });
        tracing::info!(%address, "coordinator listens");
        Ok(Running { address, shared, parts, health })
    }
}

impl Running {
    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Resolves when a part has ended by itself, with what is known of it; while all is well it does not.
    pub async fn failed(&mut self) -> String {
        match self.parts.join_next().await {
            Some(Ok(Part::Server(Err(error)))) => format!("the server has stopped: {error}"),
            Some(Ok(_)) => "a part of the coordinator has stopped".to_owned(),
            Some(Err(error)) => format!("a part of the coordinator has crashed: {error}"),
            None => "nothing of the coordinator runs any more".to_owned(),
        }
    }

    /// Tells workers and watchers to go elsewhere, lets calls end within `deadline`, cuts what is left, and closes
    /// the store. True where nothing had to be cut.
    pub async fn shutdown(mut self, deadline: Duration) -> bool {
        let until = Instant::now() + deadline;
        self.health.set_service_status("", tonic_health::ServingStatus::NotServing).await;
        let go_away = GoAway {
            reason: "the coordinator stops".to_owned(),
            grace: prost_types::Duration::try_from(deadline).ok(),
        };
        self.shared.roster.send_all(&Message::GoAway(go_away));
        self.shared.stop.cancel();
        self.shared.background.close();
        let all_ended = async {
            self.shared.background.wait().await;
            while let Some(part) = self.parts.join_next().await {
                if let Ok(Part::Server(Err(error))) = part {
                    tracing::warn!(%error, "server did not end well");
                }
            }
        };
        let in_time = timeout_at(until, all_ended).await.is_ok();
        if !in_time {
            tracing::warn!("calls were still open at the deadline and are cut");
            self.parts.shutdown().await;
        }
        self.shared.store.close().await;
        tracing::info!(in_time, "coordinator stopped");
        in_time
    }
}

impl Drop for Running {
    /// Without a shutdown everything is cut.
    fn drop(&mut self) {
        self.shared.stop.cancel();
    }
}

async fn ended(part: impl Future<Output = ()>) -> Part {
    part.await;
    Part::Done
}

async fn listen(address: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(address).await.map_err(|source| match source.kind() {
        ErrorKind::AddrInUse => StartError::AddressInUse { address },
        _ => StartError::Listen { address, source },
    })
}

/// Opens the store that the configuration names.
pub(crate) async fn open_store(config: &CoordinatorConfig) -> Result<Arc<dyn TaskStore>, StartError> {
    let times = StoreTimes {
        lease_ttl: config.lease_ttl,
        request_ids: config.retention.request_ids,
        ended_tasks: config.retention.ended_tasks,
    };
    tracing::info!(store = %config.store, "opening the task store");
    match &config.store {
        StoreLocation::File(path) => {
            Ok(Arc::new(open_file(path.clone(), times, config.fairness.clone()).await?))
        }
        StoreLocation::Redis(address) => {
            let settings = RedisSettings {
                address: address.clone(),
                sentinel_password: config.redis.sentinel_password.reveal().to_owned(),
                fleet: config.redis.fleet.clone(),
                durability: config.redis.durability,
                replicas: config.redis.replicas,
                memory_share: config.redis.memory_share,
                connect_timeout: config.redis.connect_timeout,
                command_timeout: config.redis.command_timeout,
                times,
                policy: config.fairness.clone(),
                clock: RedisClock::Server,
            };
            Ok(Arc::new(RedisStore::open(settings).await?))
        }
    }
}

/// Where the store is in a Redis, the series are there too.
fn open_series(config: &CoordinatorConfig) -> Result<TaskSeries, StartError> {
    let StoreLocation::Redis(address) = &config.store else { return Ok(TaskSeries::of_beats()) };
    let patience = Patience { connect: config.redis.connect_timeout, answer: config.redis.command_timeout };
    let connector = Connector::new(address.clone(), config.redis.sentinel_password.reveal(), patience);
    let connector = connector.map_err(|error| StoreError::Unsuitable {
        address: address.to_string(),
        reason: error.to_string(),
    })?;
    Ok(TaskSeries::of_workers(RedisSeries::new(connector, &config.redis.fleet)))
}

/// Reads the networks for faces, where some are configured.
async fn load_photo_checks(config: &CoordinatorConfig) -> Result<Option<PhotoChecks>, StartError> {
    let (faces, limits) = (config.faces.clone(), config.photo_checks.clone());
    let loading = tokio::task::spawn_blocking(move || PhotoChecks::load(&faces, &limits));
    let loaded = loading.await.map_err(|error| StartError::Interrupted(error.to_string()))?;
    Ok(loaded.map_err(|error| ConfigError::Faces(error.to_string()))?)
}

async fn open_file(
    path: PathBuf,
    times: StoreTimes,
    policy: FairPolicy,
) -> Result<EmbeddedStore, StartError> {
    let opening = tokio::task::spawn_blocking(move || {
        if let Some(folder) = path.parent().filter(|folder| *folder != Path::new("")) {
            std::fs::create_dir_all(folder)
                .map_err(|source| StartError::Folder { path: folder.to_owned(), source })?;
        }
        Ok(EmbeddedStore::open(&path, times, policy, StoreClock::host())?)
    });
    opening.await.map_err(|error| StartError::Interrupted(error.to_string()))?
}

async fn look_for_due(shared: Shared) {
    let mut ticks = interval(shared.config.expiry_interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shared.stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        match shared.store.expire_leases().await {
            Ok(expired) if expired.is_empty() => {}
            Ok(expired) => tracing::warn!(tasks = expired.len(), "leases ran out, their tasks wait again"),
            Err(error) => tracing::error!(%error, "cannot look for leases that ran out"),
        }
        match shared.store.fall_due().await {
            Ok(due) if due.queued + due.expired == 0 => {}
            Ok(due) => {
                tracing::info!(queued = due.queued, expired = due.expired, "tasks whose time had come")
            }
            Err(error) => tracing::error!(%error, "cannot look for tasks whose time has come"),
        }
        // a wake-up that was lost for whatever reason costs one interval, not a task
        shared.roster.wake();
    }
}

async fn sweep(shared: Shared) {
    let mut ticks = interval(shared.config.retention.sweep_interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shared.stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let uploads = shared.artifacts.sweep(shared.config.retention.unfinished_uploads).await;
        match shared.store.sweep().await {
            Ok(swept) if swept.tasks + swept.requests + swept.workers + uploads == 0 => {}
            Ok(swept) => {
                tracing::info!(
                    tasks = swept.tasks,
                    requests = swept.requests,
                    workers = swept.workers,
                    uploads,
                    "swept what is past its time"
                );
            }
            Err(error) => tracing::error!(%error, "cannot sweep the task store"),
        }
    }
}
