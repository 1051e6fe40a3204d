//! As much of a coordinator of protocol 1 as a worker needs: it welcomes, gives what leases a test says, acknowledges
//! beats, has every artifact already, and keeps the settlements for the test to look at.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::transport::Server;
use tonic::{Request, Response, Status, Streaming};

use super::VERSION;
use super::proto::artifacts_server::{Artifacts, ArtifactsServer};
use super::proto::coordinator_message::Message as ToWorker;
use super::proto::worker_message::Message as FromWorker;
use super::proto::worker_sessions_server::{WorkerSessions, WorkerSessionsServer};
use super::proto::{
    BeatAck, CoordinatorMessage, DownloadRequest, DownloadResponse, GetUploadRequest, GetUploadResponse,
    HeldVerdict, Hello, Lease, LeaseVerdict, SettleRequest, SettleResponse, SettleVerdict, UploadRequest,
    UploadResponse, Welcome, WorkerMessage,
};

/// For whatever is waited for.
const SOON: Duration = Duration::from_secs(60);
/// Messages and settlements that may wait.
const QUEUE: usize = 64;

type Outbound = Result<CoordinatorMessage, Status>;

/// What has reached the coordinator.
#[derive(Debug)]
pub enum Scene {
    /// A worker has greeted.
    Greeted(Box<Hello>),
    /// An attempt was settled.
    Settled(Box<SettleRequest>),
}

/// A running coordinator of the release before.
#[derive(Debug)]
pub struct OldCoordinator {
    /// `127.0.0.1:PORT`.
    pub address: String,
    scenes: mpsc::Receiver<Scene>,
    runtime: Option<Runtime>,
}

impl OldCoordinator {
    /// Starts one that gives these leases to whoever comes, one after another.
    ///
    /// # Panics
    /// Where it cannot be started.
    #[must_use]
    pub fn start(leases: Vec<Lease>) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime can be made");
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a free port");
        let address = listener.local_addr().expect("a listener has an address").to_string();
        let (told, scenes) = mpsc::channel(QUEUE);
        let service = Service { leases, told, sessions: Arc::default() };
        let server = Server::builder()
            .add_service(WorkerSessionsServer::new(service.clone()))
            .add_service(ArtifactsServer::new(service));
        runtime.spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
        Self { address, scenes, runtime: Some(runtime) }
    }

    /// What happens next.
    ///
    /// # Panics
    /// Where nothing does.
    pub fn scene(&mut self) -> Scene {
        self.scene_within(SOON).expect("something happens at the old coordinator")
    }

    /// What happens within this time, if anything.
    pub fn scene_within(&mut self, within: Duration) -> Option<Scene> {
        let Self { scenes, runtime, .. } = self;
        runtime.as_ref()?.block_on(async { timeout(within, scenes.recv()).await.ok().flatten() })
    }
}

impl Drop for OldCoordinator {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

#[derive(Debug, Clone)]
struct Service {
    leases: Vec<Lease>,
    told: mpsc::Sender<Scene>,
    sessions: Arc<Mutex<JoinSet<()>>>,
}

impl Service {
    async fn tell(&self, scene: Scene) -> Result<(), Status> {
        self.told.send(scene).await.map_err(|_| Status::unavailable("the test is over"))
    }
}

/// Acknowledges beats until the worker goes.
async fn acknowledge(mut inbox: Streaming<WorkerMessage>, outbox: mpsc::Sender<Outbound>) {
    while let Ok(Some(message)) = inbox.message().await {
        let Some(FromWorker::Beat(beat)) = message.message else { continue };
        let verdicts = beat.tasks.into_iter().map(|task| HeldVerdict {
            task_id: task.task_id,
            fence: task.fence,
            verdict: LeaseVerdict::Keep.into(),
        });
        let ack = BeatAck { sequence: beat.sequence, verdicts: verdicts.collect() };
        if send(&outbox, ToWorker::BeatAck(ack)).await.is_err() {
            return;
        }
    }
}

async fn send(outbox: &mpsc::Sender<Outbound>, message: ToWorker) -> Result<(), Status> {
    let sent = outbox.send(Ok(CoordinatorMessage { message: Some(message) })).await;
    sent.map_err(|_| Status::cancelled("the worker is gone"))
}

#[tonic::async_trait]
impl WorkerSessions for Service {
    type SessionStream = ReceiverStream<Outbound>;

    async fn session(
        &self,
        request: Request<Streaming<WorkerMessage>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        let mut inbox = request.into_inner();
        let hello = match inbox.message().await? {
            Some(WorkerMessage { message: Some(FromWorker::Hello(hello)) }) => hello,
            _ => return Err(Status::invalid_argument("the first message must be Hello")),
        };
        if !(hello.protocol_min..=hello.protocol_max).contains(&VERSION) {
            return Err(Status::failed_precondition("this coordinator speaks protocol 1 alone"));
        }
        self.tell(Scene::Greeted(Box::new(hello))).await?;
        let (outbox, outbound) = mpsc::channel(QUEUE);
        let welcome = Welcome {
            protocol: VERSION,
            lease_ttl: Some(prost_types::Duration { seconds: 10, nanos: 0 }),
            beat_interval: Some(prost_types::Duration { seconds: 0, nanos: 200_000_000 }),
            verdicts: Vec::new(),
        };
        send(&outbox, ToWorker::Welcome(welcome)).await?;
        for lease in self.leases.clone() {
            send(&outbox, ToWorker::Lease(lease)).await?;
        }
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.spawn(acknowledge(inbox, outbox));
        Ok(Response::new(ReceiverStream::new(outbound)))
    }

    async fn settle(&self, request: Request<SettleRequest>) -> Result<Response<SettleResponse>, Status> {
        self.tell(Scene::Settled(Box::new(request.into_inner()))).await?;
        Ok(Response::new(SettleResponse { verdict: SettleVerdict::Accepted.into() }))
    }
}

#[tonic::async_trait]
impl Artifacts for Service {
    type DownloadStream = ReceiverStream<Result<DownloadResponse, Status>>;

    async fn get_upload(&self, _: Request<GetUploadRequest>) -> Result<Response<GetUploadResponse>, Status> {
        Ok(Response::new(GetUploadResponse { complete: true, received_bytes: 0 }))
    }

    async fn upload(&self, _: Request<Streaming<UploadRequest>>) -> Result<Response<UploadResponse>, Status> {
        Err(Status::unimplemented("everything is here already"))
    }

    async fn download(&self, _: Request<DownloadRequest>) -> Result<Response<Self::DownloadStream>, Status> {
        Err(Status::not_found("nothing is here"))
    }
}
