//! A worker's side of the protocol, as far as a measurement needs it.

use anyhow::{Context, bail};
use likeness_shared::client::Client;
use likeness_shared::ids::Incarnation;
use likeness_shared::proto::coordinator_message::Message as FromCoordinator;
use likeness_shared::proto::settle_request::Outcome;
use likeness_shared::proto::worker_message::Message as ToCoordinator;
use likeness_shared::proto::{
    Beat, CoordinatorMessage, Credit, GenerationResult, Hello, Lease, ModelFacts, Picture, SettleRequest,
    SettleVerdict, TaskBeat, WorkerMessage,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

/// Messages on their way out.
const OUTBOX: usize = 256;

/// A worker with a session.
pub(crate) struct Worker {
    pub(crate) messages: Streaming<CoordinatorMessage>,
    pub(crate) voice: Voice,
    beats: u64,
}

/// What a worker says; clones speak for the same worker.
#[derive(Clone)]
pub(crate) struct Voice {
    name: String,
    client: Client,
    outbox: mpsc::Sender<WorkerMessage>,
}

impl Worker {
    /// Connects, over a connection of its own.
    pub(crate) async fn join(address: &str, name: &str) -> anyhow::Result<Self> {
        let client = Client::connect(address).await?;
        let hello = Hello {
            worker_id: name.to_owned(),
            incarnation: Incarnation::generate().to_string(),
            protocol_min: 1,
            protocol_max: 1,
            models: vec![ModelFacts { name: "none".to_owned(), digest: String::new(), is_default: true }],
            ..Hello::default()
        };
        let (outbox, outbound) = mpsc::channel(OUTBOX);
        let voice = Voice { name: name.to_owned(), client: client.clone(), outbox };
        voice.say(ToCoordinator::Hello(hello)).await?;
        let messages = client.open_session(ReceiverStream::new(outbound)).await?;
        let mut worker = Self { messages, voice, beats: 0 };
        match worker.next().await? {
            FromCoordinator::Welcome(_) => Ok(worker),
            other => bail!("{name} was not welcomed: {other:?}"),
        }
    }

    pub(crate) async fn next(&mut self) -> anyhow::Result<FromCoordinator> {
        let message = self.messages.message().await?.context("the session has ended")?;
        message.message.context("an empty message")
    }

    /// The next lease.
    pub(crate) async fn lease(&mut self) -> anyhow::Result<Lease> {
        loop {
            if let FromCoordinator::Lease(lease) = self.next().await? {
                return Ok(lease);
            }
        }
    }

    /// Beats and waits for the answer.
    pub(crate) async fn beat(&mut self, tasks: Vec<TaskBeat>) -> anyhow::Result<()> {
        self.beats += 1;
        self.voice.say(ToCoordinator::Beat(Beat { sequence: self.beats, tasks })).await?;
        loop {
            if let FromCoordinator::BeatAck(ack) = self.next().await?
                && ack.sequence == self.beats
            {
                return Ok(());
            }
        }
    }
}

impl Voice {
    pub(crate) async fn say(&self, message: ToCoordinator) -> anyhow::Result<()> {
        let sent = self.outbox.send(WorkerMessage { message: Some(message) }).await;
        sent.map_err(|_| anyhow::anyhow!("the session of {} has ended", self.name))
    }

    pub(crate) async fn credit(&self, free_slots: u32) -> anyhow::Result<()> {
        self.say(ToCoordinator::Credit(Credit { free_slots })).await
    }

    /// Ends the attempt as told; it must be accepted.
    pub(crate) async fn settle(&self, lease: &Lease, outcome: Outcome) -> anyhow::Result<()> {
        let request = SettleRequest {
            worker_id: self.name.clone(),
            task_id: lease.task_id.clone(),
            fence: lease.fence,
            outcome: Some(outcome),
            device_time: Some(prost_types::Duration { seconds: 0, nanos: 1_000_000 }),
        };
        match self.client.settle(request).await? {
            SettleVerdict::Accepted => Ok(()),
            verdict => bail!("settling {} was answered {verdict:?}", lease.task_id),
        }
    }
}

/// A result for every task: one picture, which is uploaded once.
pub(crate) async fn picture(client: &Client) -> anyhow::Result<Outcome> {
    let digest = client.artifacts().upload(&b"a picture"[..], "image/png").await?;
    let picture = Picture { artifact_digest: digest.to_string(), seed: 0, width: 8, height: 8 };
    Ok(Outcome::Generation(GenerationResult { pictures: vec![picture], warnings: Vec::new() }))
}
