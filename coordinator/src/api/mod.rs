//! What the outside sees: one file a service, and the conversions between records and protocol messages.

mod artifacts;
mod bulk;
mod explain;
mod feed;
mod importing;
mod listing;
mod operations;
mod people;
mod photos;
mod series;
mod session;
mod settling;
mod tasks;
mod wire;
mod worker_sessions;

use std::sync::Arc;
use std::time::Duration;

use likeness_shared::errors::ServiceError;
use likeness_shared::limits::MAX_MESSAGE_BYTES;
use likeness_shared::proto::DESCRIPTORS;
use likeness_shared::proto::artifacts_server::ArtifactsServer;
use likeness_shared::proto::operations_server::OperationsServer;
use likeness_shared::proto::people_server::PeopleServer;
use likeness_shared::proto::photos_server::PhotosServer;
use likeness_shared::proto::tasks_server::TasksServer;
use likeness_shared::proto::worker_sessions_server::WorkerSessionsServer;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::service::Routes;
use tonic_health::server::HealthReporter;

use crate::artifact_store::ArtifactStore;
use crate::config::CoordinatorConfig;
use crate::photo_checks::PhotoChecks;
use crate::scheduler::Roster;
use crate::scrubber::Scrubber;
use crate::store::{StoreError, TaskStore};
pub(crate) use feed::TaskFeed;
pub(crate) use series::TaskSeries;

/// What every service works with.
#[derive(Debug, Clone)]
pub(crate) struct Shared {
    pub(crate) config: Arc<CoordinatorConfig>,
    pub(crate) store: Arc<dyn TaskStore>,
    pub(crate) artifacts: Arc<ArtifactStore>,
    pub(crate) feed: Arc<TaskFeed>,
    pub(crate) roster: Arc<Roster>,
    /// Holds the store's indexes against its records.
    pub(crate) scrubber: Arc<Scrubber>,
    /// Where the points of tasks and workers are.
    pub(crate) series: TaskSeries,
    /// Judges photos; `None` where there are no networks for it.
    pub(crate) photo_checks: Option<Arc<PhotoChecks>>,
    /// Work that outlives one call; awaited at shutdown.
    pub(crate) background: TaskTracker,
    /// Cancelled when the coordinator goes away.
    pub(crate) stop: CancellationToken,
}

impl Shared {
    /// An answer of the store within the call's time.
    async fn stored<T>(&self, asked: impl Future<Output = Result<T, StoreError>>) -> Result<T, ServiceError> {
        let limit = self.config.connections.call_timeout;
        match tokio::time::timeout(limit, asked).await {
            Ok(answer) => answer.map_err(ServiceError::from),
            Err(_) => Err(ServiceError::Unavailable {
                message: format!("the task store did not answer within {} s", limit.as_secs_f64()),
                retry_after: Duration::from_secs(1),
            }),
        }
    }
}

/// Why the services cannot be put together.
#[derive(Debug, thiserror::Error)]
#[error("cannot describe the services: {0}")]
pub struct DescriptionError(#[from] tonic_reflection::server::Error);

/// All services, with health and reflection.
pub(crate) async fn routes(shared: &Shared) -> Result<(Routes, HealthReporter), DescriptionError> {
    let tasks = TasksServer::new(tasks::TasksService::new(shared.clone()))
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES);
    let people = PeopleServer::new(people::PeopleService::new(shared.clone()))
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES);
    let photos = PhotosServer::new(photos::PhotosService::new(shared.clone()))
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES);
    let artifacts = ArtifactsServer::new(artifacts::ArtifactsService::new(shared.clone()))
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES);
    let sessions = WorkerSessionsServer::new(worker_sessions::WorkerSessionsService::new(shared.clone()))
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES);
    let operations = OperationsServer::new(operations::OperationsService::new(shared.clone()))
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES);
    let (reporter, health) = tonic_health::server::health_reporter();
    reporter.set_serving::<TasksServer<tasks::TasksService>>().await;
    reporter.set_serving::<PeopleServer<people::PeopleService>>().await;
    reporter.set_serving::<PhotosServer<photos::PhotosService>>().await;
    reporter.set_serving::<ArtifactsServer<artifacts::ArtifactsService>>().await;
    reporter.set_serving::<WorkerSessionsServer<worker_sessions::WorkerSessionsService>>().await;
    reporter.set_serving::<OperationsServer<operations::OperationsService>>().await;
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()?;
    let routes = Routes::new(tasks)
        .add_service(people)
        .add_service(photos)
        .add_service(artifacts)
        .add_service(sessions)
        .add_service(operations)
        .add_service(health)
        .add_service(reflection);
    Ok((routes, reporter))
}
