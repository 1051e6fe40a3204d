//! A coordinator in this process, and a worker that does what a test tells it.

#![allow(dead_code)] // not every test file uses everything
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a helper that fails fails its test

pub(crate) mod process;
pub(crate) mod redis_server;
pub(crate) mod sentinels;
pub(crate) mod signpost;

use std::path::Path;
use std::time::Duration;

use likeness_coordinator::{Coordinator, CoordinatorConfig, Running};
use likeness_shared::client::Client;
use likeness_shared::ids::{Digest, RequestId, TaskId};
use likeness_shared::proto::coordinator_message::Message as FromCoordinator;
use likeness_shared::proto::settle_request::Outcome;
use likeness_shared::proto::worker_message::Message as ToCoordinator;
use likeness_shared::proto::{
    Beat, BeatAck, Consent, CoordinatorMessage, Credit, GenerationResult, GenerationSpec, HeldLease, Hello,
    InversionSpec, Lease, LeaseVerdict, ModelFacts, Picture, Progress, SettleRequest, SettleVerdict,
    SubmitGenerationRequest, SubmitInversionRequest, Task, TaskBeat, Welcome, WorkerMessage,
};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

/// Whatever must happen happens within this.
pub(crate) const SOON: Duration = Duration::from_secs(20);

pub(crate) fn config(folder: &Path) -> CoordinatorConfig {
    CoordinatorConfig { listen: "127.0.0.1:0".parse().unwrap(), ..CoordinatorConfig::default() }
        .with_data_folder(folder)
}

pub(crate) async fn start(folder: &Path) -> (Running, Client) {
    start_with(config(folder)).await
}

pub(crate) async fn start_with(config: CoordinatorConfig) -> (Running, Client) {
    let running = Coordinator::start(config).await.unwrap();
    let client = Client::connect(&running.address().to_string()).await.unwrap();
    (running, client)
}

pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    timeout(SOON, future).await.unwrap_or_else(|_| panic!("{what}: did not happen within {SOON:?}"))
}

pub(crate) fn generation(prompt: &str) -> SubmitGenerationRequest {
    SubmitGenerationRequest {
        request_id: RequestId::generate().to_string(),
        tenant: "acme".to_owned(),
        user: "anna".to_owned(),
        spec: Some(GenerationSpec { prompt: prompt.to_owned(), ..GenerationSpec::default() }),
        timing: None,
    }
}

pub(crate) async fn submit(client: &Client, prompt: &str) -> Task {
    client.submit_generation(generation(prompt)).await.unwrap().task.unwrap()
}

pub(crate) fn inversion(photos: &[Digest]) -> SubmitInversionRequest {
    SubmitInversionRequest {
        request_id: RequestId::generate().to_string(),
        tenant: "acme".to_owned(),
        user: "anna".to_owned(),
        spec: Some(InversionSpec {
            photo_digests: photos.iter().map(Digest::to_string).collect(),
            person_name: "grandma".to_owned(),
            consent: Some(Consent {
                version: "1".to_owned(),
                statement_sha256: Digest::of(b"I agree").to_string(),
            }),
            ..InversionSpec::default()
        }),
        timing: None,
    }
}

pub(crate) fn task_id(text: &str) -> TaskId {
    text.parse().unwrap()
}

/// A learned-person file: one tensor of zeros.
pub(crate) fn person_file(vectors: usize, width: usize) -> Vec<u8> {
    let bytes = vectors * width * 4;
    let header =
        format!(r#"{{"sks":{{"dtype":"F32","shape":[{vectors},{width}],"data_offsets":[0,{bytes}]}}}}"#);
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header.as_bytes());
    file.extend(vec![0; bytes]);
    file
}

/// A worker under the test's control.
pub(crate) struct FakeWorker {
    pub(crate) name: String,
    pub(crate) incarnation: String,
    pub(crate) client: Client,
    outbox: mpsc::Sender<WorkerMessage>,
    inbox: Streaming<CoordinatorMessage>,
    beats: u64,
}

impl FakeWorker {
    /// Connects with room for `credit` tasks.
    pub(crate) async fn join(running: &Running, name: &str, credit: u32) -> Self {
        let (worker, _) = Self::join_holding(running, name, "first", &[]).await;
        worker.credit(credit).await;
        worker
    }

    /// Connects, holding leases of an earlier session.
    pub(crate) async fn join_holding(
        running: &Running,
        name: &str,
        incarnation: &str,
        held: &[&Lease],
    ) -> (Self, Welcome) {
        Self::join_at(&running.address().to_string(), name, incarnation, held).await
    }

    /// The same, to a coordinator of which the address is known.
    pub(crate) async fn join_at(
        address: &str,
        name: &str,
        incarnation: &str,
        held: &[&Lease],
    ) -> (Self, Welcome) {
        let held = held.iter().map(|lease| HeldLease { task_id: lease.task_id.clone(), fence: lease.fence });
        let hello = Hello {
            worker_id: name.to_owned(),
            incarnation: incarnation.to_owned(),
            protocol_min: 1,
            protocol_max: 1,
            models: vec![ModelFacts { name: "pocket".to_owned(), digest: String::new(), is_default: true }],
            held: held.collect(),
            ..Hello::default()
        };
        let client = Client::connect(address).await.unwrap();
        let (outbox, messages) = mpsc::channel(64);
        outbox.send(WorkerMessage { message: Some(ToCoordinator::Hello(hello)) }).await.unwrap();
        let inbox = client.open_session(ReceiverStream::new(messages)).await.unwrap();
        let (name, incarnation) = (name.to_owned(), incarnation.to_owned());
        let mut worker = Self { name, incarnation, client, outbox, inbox, beats: 0 };
        match worker.next().await {
            FromCoordinator::Welcome(welcome) => (worker, welcome),
            other => panic!("not a welcome: {other:?}"),
        }
    }

    pub(crate) async fn send(&self, message: ToCoordinator) {
        self.outbox.send(WorkerMessage { message: Some(message) }).await.unwrap();
    }

    pub(crate) async fn credit(&self, free_slots: u32) {
        self.send(ToCoordinator::Credit(Credit { free_slots })).await;
    }

    /// The next message; the session must not end.
    pub(crate) async fn next(&mut self) -> FromCoordinator {
        self.next_or_end().await.unwrap_or_else(|| panic!("the session of {} ended", self.name))
    }

    pub(crate) async fn next_or_end(&mut self) -> Option<FromCoordinator> {
        let message = soon(&format!("a message for {}", self.name), self.inbox.message()).await;
        message.ok().flatten().and_then(|message| message.message)
    }

    pub(crate) async fn lease(&mut self) -> Lease {
        loop {
            match self.next().await {
                FromCoordinator::Lease(lease) => return lease,
                FromCoordinator::BeatAck(_) => {}
                other => panic!("not a lease: {other:?}"),
            }
        }
    }

    /// Waits for a lease as a living worker does: beating.
    pub(crate) async fn lease_while_beating(&mut self, every: Duration) -> Lease {
        let beating = async {
            loop {
                self.beats += 1;
                self.send(ToCoordinator::Beat(Beat { sequence: self.beats, tasks: Vec::new() })).await;
                if let Ok(lease) = timeout(every, self.lease()).await {
                    return lease;
                }
            }
        };
        soon("a lease", beating).await
    }

    /// Beats for one task and gives back whether the lease is kept.
    pub(crate) async fn beat(&mut self, lease: &Lease, step: u32, checkpoint: &[u8]) -> bool {
        let progress = Progress { step, total_steps: 100, phase: "train".to_owned(), ..Progress::default() };
        let beat = TaskBeat {
            task_id: lease.task_id.clone(),
            fence: lease.fence,
            progress: Some(progress),
            checkpoint: checkpoint.to_vec(),
            device_time: None,
        };
        let ack = self.beat_with(vec![beat]).await;
        ack.verdicts.iter().any(|verdict| verdict.verdict() == LeaseVerdict::Keep)
    }

    pub(crate) async fn beat_with(&mut self, tasks: Vec<TaskBeat>) -> BeatAck {
        self.beats += 1;
        self.send(ToCoordinator::Beat(Beat { sequence: self.beats, tasks })).await;
        loop {
            match self.next().await {
                FromCoordinator::BeatAck(ack) if ack.sequence == self.beats => return ack,
                FromCoordinator::BeatAck(_) | FromCoordinator::Cancel(_) => {}
                other => panic!("not an acknowledgement: {other:?}"),
            }
        }
    }

    pub(crate) async fn cancel(&mut self) -> likeness_shared::proto::Cancel {
        loop {
            match self.next().await {
                FromCoordinator::Cancel(cancel) => return cancel,
                FromCoordinator::BeatAck(_) => {}
                other => panic!("not a cancellation: {other:?}"),
            }
        }
    }

    pub(crate) async fn settle(&self, lease: &Lease, outcome: Outcome) -> SettleVerdict {
        self.client.settle(self.settlement(lease, outcome)).await.unwrap()
    }

    pub(crate) fn settlement(&self, lease: &Lease, outcome: Outcome) -> SettleRequest {
        SettleRequest {
            worker_id: self.name.clone(),
            task_id: lease.task_id.clone(),
            fence: lease.fence,
            outcome: Some(outcome),
            device_time: None,
        }
    }

    /// Uploads a picture and says that it was drawn.
    pub(crate) async fn picture(&self) -> Outcome {
        let digest = self.client.artifacts().upload(&b"a picture"[..], "image/png").await.unwrap();
        let picture = Picture { artifact_digest: digest.to_string(), seed: 0, width: 8, height: 8 };
        Outcome::Generation(GenerationResult { pictures: vec![picture], warnings: Vec::new() })
    }

    /// Goes without a word, as a killed process does.
    pub(crate) fn kill(self) {
        drop(self);
    }
}
