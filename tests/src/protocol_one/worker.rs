//! A worker that speaks protocol 1 alone and does what a test tells it.

use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use tonic::transport::Channel;

use super::VERSION;
use super::proto::artifacts_client::ArtifactsClient;
use super::proto::coordinator_message::Message as FromCoordinator;
use super::proto::settle_request::Outcome;
use super::proto::upload_request::Part;
use super::proto::worker_message::Message as ToCoordinator;
use super::proto::worker_sessions_client::WorkerSessionsClient;
use super::proto::{
    Beat, BeatAck, CoordinatorMessage, Credit, GenerationResult, Hello, Lease, ModelFacts, Picture, Progress,
    SettleRequest, SettleVerdict, TaskBeat, UploadHeader, UploadRequest, Welcome, WorkerMessage,
};

/// For whatever is waited for.
const SOON: Duration = Duration::from_secs(20);

/// A worker of the release before.
#[derive(Debug)]
pub struct OldWorker {
    name: String,
    channel: Channel,
    outbox: mpsc::Sender<WorkerMessage>,
    inbox: Streaming<CoordinatorMessage>,
    beats: u64,
}

impl OldWorker {
    /// Opens a session with room for one task.
    ///
    /// # Panics
    /// Where the coordinator will not have it.
    pub async fn join(address: &str, name: &str) -> (Self, Welcome) {
        let channel = Channel::from_shared(format!("http://{address}")).expect("an address");
        let channel = channel.connect().await.expect("the coordinator answers");
        let (outbox, messages) = mpsc::channel(16);
        let hello = Hello {
            worker_id: name.to_owned(),
            incarnation: "first".to_owned(),
            protocol_min: VERSION,
            protocol_max: VERSION,
            models: vec![ModelFacts {
                name: "simulated".to_owned(),
                digest: String::new(),
                is_default: true,
            }],
            ..Hello::default()
        };
        send(&outbox, ToCoordinator::Hello(hello)).await;
        let opened = WorkerSessionsClient::new(channel.clone()).session(ReceiverStream::new(messages)).await;
        let inbox = opened.expect("the session is opened").into_inner();
        let mut worker = Self { name: name.to_owned(), channel, outbox, inbox, beats: 0 };
        let welcome = match worker.next().await {
            FromCoordinator::Welcome(welcome) => welcome,
            other => panic!("not a welcome: {other:?}"),
        };
        send(&worker.outbox, ToCoordinator::Credit(Credit { free_slots: 1 })).await;
        (worker, welcome)
    }

    /// The next message that it understands.
    ///
    /// # Panics
    /// Where none comes.
    pub async fn next(&mut self) -> FromCoordinator {
        loop {
            let message = timeout(SOON, self.inbox.message()).await.expect("a message in time");
            if let Some(message) = message.expect("the session lives").expect("the session is open").message {
                return message;
            }
        }
    }

    /// The next lease.
    pub async fn lease(&mut self) -> Lease {
        loop {
            if let FromCoordinator::Lease(lease) = self.next().await {
                return lease;
            }
        }
    }

    /// Reports a step and its checkpoint, and returns the answer.
    pub async fn beat(&mut self, lease: &Lease, step: u32, checkpoint: &[u8]) -> BeatAck {
        self.beats += 1;
        let progress = Progress { step, total_steps: 100, phase: "train".to_owned(), ..Progress::default() };
        let task = TaskBeat {
            task_id: lease.task_id.clone(),
            fence: lease.fence,
            progress: Some(progress),
            checkpoint: checkpoint.to_vec(),
        };
        send(&self.outbox, ToCoordinator::Beat(Beat { sequence: self.beats, tasks: vec![task] })).await;
        loop {
            match self.next().await {
                FromCoordinator::BeatAck(ack) if ack.sequence == self.beats => return ack,
                _ => {}
            }
        }
    }

    /// Ends the attempt.
    ///
    /// # Panics
    /// Where the coordinator refuses.
    pub async fn settle(&self, lease: &Lease, outcome: Outcome) -> SettleVerdict {
        let request = SettleRequest {
            worker_id: self.name.clone(),
            task_id: lease.task_id.clone(),
            fence: lease.fence,
            outcome: Some(outcome),
            device_time: None,
        };
        let answer = WorkerSessionsClient::new(self.channel.clone()).settle(request).await;
        answer.expect("the settlement is taken").into_inner().verdict()
    }

    /// Uploads a picture and says that it was drawn.
    ///
    /// # Panics
    /// Where the upload is refused.
    pub async fn picture(&self) -> Outcome {
        let bytes = b"a picture of the release before".to_vec();
        let digest: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        let header = UploadHeader {
            digest: digest.clone(),
            size_bytes: bytes.len() as u64,
            media_type: "image/png".to_owned(),
            offset: 0,
        };
        let parts = [Part::Header(header), Part::Chunk(bytes)].map(|part| UploadRequest { part: Some(part) });
        let uploaded = ArtifactsClient::new(self.channel.clone()).upload(tokio_stream::iter(parts)).await;
        uploaded.expect("the upload is taken");
        let picture = Picture { artifact_digest: digest, seed: 0, width: 8, height: 8 };
        Outcome::Generation(GenerationResult { pictures: vec![picture], warnings: Vec::new() })
    }
}

async fn send(outbox: &mpsc::Sender<WorkerMessage>, message: ToCoordinator) {
    outbox.send(WorkerMessage { message: Some(message) }).await.expect("the session lives");
}
