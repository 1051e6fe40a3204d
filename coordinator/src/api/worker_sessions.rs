//! The `WorkerSessions` service: greets a worker, settles which of its leases it keeps, and then carries credit,
//! leases, beats and cancellations until one side goes.

use std::collections::BTreeSet;
use std::time::Duration;

use likeness_shared::errors::ServiceError;
use likeness_shared::ids::{Fence, Incarnation, TaskId, WorkerId};
use likeness_shared::limits::Checks;
use likeness_shared::proto::coordinator_message::Message as ToWorker;
use likeness_shared::proto::worker_message::Message as FromWorker;
use likeness_shared::proto::worker_sessions_server::WorkerSessions;
use likeness_shared::proto::{
    HeldLease, HeldVerdict, Hello, LeaseVerdict, PROTOCOL_RANGE, SettleRequest, SettleResponse, Welcome,
    WorkerMessage,
};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

use super::session::Session;
use super::{Shared, settling, wire};
use crate::scheduler::Outbound;
use crate::store::Claimant;
use crate::store::worker_record::{WorkerFacts, WorkerModel};

/// For the first message of a session.
const HELLO_TIMEOUT: Duration = Duration::from_secs(5);
/// Messages that wait for a worker; one that leaves more unread is cut.
const OUTBOX: usize = 64;
/// Leases that a worker may hold.
const MAX_HELD: usize = 1024;
/// Models that a worker may have.
const MAX_MODELS: usize = 256;
/// Longest text that a worker says of itself, in bytes.
const MAX_FACT: usize = 256;

#[derive(Debug)]
pub(super) struct WorkerSessionsService {
    shared: Shared,
}

/// A greeting that makes sense.
struct Greeting {
    claimant: Claimant,
    facts: WorkerFacts,
    held: Vec<HeldLease>,
}

impl WorkerSessionsService {
    pub(super) fn new(shared: Shared) -> Self {
        Self { shared }
    }

    async fn open(&self, mut inbox: Streaming<WorkerMessage>) -> Result<ReceiverStream<Outbound>, Status> {
        let hello = match timeout(HELLO_TIMEOUT, inbox.message()).await {
            Ok(Ok(Some(WorkerMessage { message: Some(FromWorker::Hello(hello)) }))) => hello,
            Ok(Err(status)) => return Err(status),
            Ok(Ok(_)) => {
                return Err(ServiceError::invalid("message", "the first message must be Hello").into());
            }
            Err(_) => return Err(Status::deadline_exceeded("no Hello has come")),
        };
        let greeting = greeting(hello)?;
        let Claimant { worker, incarnation, .. } = greeting.claimant.clone();
        let (outbox, outbound) = mpsc::channel(OUTBOX);
        let cut = CancellationToken::new();
        // joined before re-adoption, so that the grace of an earlier session sees this one and lets the leases be
        let id = self.shared.roster.join(greeting.claimant.clone(), outbox.clone(), cut.clone());
        let protocol = greeting.facts.protocol;
        let joined = self.shared.stored(self.shared.store.worker_joined(greeting.facts)).await;
        let verdicts = match joined {
            Ok(()) => self.verdicts(&worker, &incarnation, greeting.held).await,
            Err(error) => Err(error),
        };
        let verdicts = match verdicts {
            Ok(verdicts) => verdicts,
            Err(error) => {
                self.shared.roster.leave(&worker, id);
                return Err(error.into());
            }
        };
        let welcome = Welcome {
            protocol,
            lease_ttl: prost_types::Duration::try_from(self.shared.config.lease_ttl).ok(),
            beat_interval: prost_types::Duration::try_from(self.shared.config.beat_interval).ok(),
            verdicts,
        };
        if !self.shared.roster.greet(&worker, id, ToWorker::Welcome(welcome)) {
            self.shared.roster.leave(&worker, id);
            return Err(Status::aborted("a newer session of the same worker has taken this one's place"));
        }
        tracing::info!(%worker, %incarnation, models = ?greeting.claimant.pools, "worker session opened");
        let session = Session { shared: self.shared.clone(), worker, incarnation, id, outbox, cut };
        self.shared.background.spawn(session.run(inbox));
        Ok(ReceiverStream::new(outbound))
    }

    async fn verdicts(
        &self,
        worker: &WorkerId,
        incarnation: &Incarnation,
        held: Vec<HeldLease>,
    ) -> Result<Vec<HeldVerdict>, ServiceError> {
        let ids: Result<Vec<(TaskId, Fence)>, ServiceError> = held
            .iter()
            .enumerate()
            .map(|(index, lease)| {
                Ok((wire::id(&format!("hello.held[{index}].task_id"), &lease.task_id)?, Fence(lease.fence)))
            })
            .collect();
        let asked = self.shared.store.readopt(worker.clone(), incarnation.clone(), ids?);
        let kept = self.shared.stored(asked).await?;
        let verdicts = held.into_iter().zip(kept).map(|(lease, keep)| HeldVerdict {
            task_id: lease.task_id,
            fence: lease.fence,
            verdict: if keep { LeaseVerdict::Keep } else { LeaseVerdict::Abandon }.into(),
        });
        Ok(verdicts.collect())
    }
}

fn greeting(hello: Hello) -> Result<Greeting, ServiceError> {
    let mut checks = Checks::new();
    let worker = checks.parse("hello.worker_id", &hello.worker_id);
    let incarnation = checks.parse("hello.incarnation", &hello.incarnation);
    checks
        .require(hello.held.len() <= MAX_HELD, "hello.held", || format!("must be at most {MAX_HELD} leases"));
    checks.require(hello.models.len() <= MAX_MODELS, "hello.models", || {
        format!("must be at most {MAX_MODELS} models")
    });
    checks.prose("hello.build", &hello.build, MAX_FACT);
    if let Some(device) = &hello.device {
        checks.prose("hello.device.name", &device.name, MAX_FACT);
    }
    for (index, model) in hello.models.iter().enumerate().take(MAX_MODELS) {
        checks.model(&format!("hello.models[{index}].name"), &model.name);
        checks.prose(&format!("hello.models[{index}].digest"), &model.digest, MAX_FACT);
    }
    checks.finish()?;
    let ours = PROTOCOL_RANGE;
    let protocol = hello.protocol_max.min(*ours.end());
    if protocol < hello.protocol_min.max(*ours.start()) {
        let description = format!(
            "the worker speaks protocol {} to {}, and this coordinator {} to {}: bring the older one up to date",
            hello.protocol_min,
            hello.protocol_max,
            ours.start(),
            ours.end()
        );
        return Err(ServiceError::unmet("PROTOCOL_VERSION", hello.worker_id, description));
    }
    let mut pools: BTreeSet<String> = hello.models.iter().map(|model| model.name.clone()).collect();
    if hello.models.iter().any(|model| model.is_default) {
        pools.insert(String::new());
    } else {
        tracing::warn!(
            worker = hello.worker_id,
            "worker has no default model: it gets only tasks that name theirs"
        );
    }
    let claimant = Claimant {
        worker: wire::checked(worker)?,
        incarnation: wire::checked(incarnation)?,
        pools: pools.into_iter().collect(),
        device: hello.device.as_ref().map(|device| device.name.clone()).unwrap_or_default(),
    };
    let device = hello.device.unwrap_or_default();
    let models = hello.models.into_iter().map(|model| WorkerModel {
        name: model.name,
        digest: model.digest,
        is_default: model.is_default,
    });
    let facts = WorkerFacts {
        id: claimant.worker.clone(),
        incarnation: claimant.incarnation.clone(),
        device: device.name,
        device_memory_bytes: device.memory_bytes,
        models: models.collect(),
        build: hello.build,
        protocol,
        slots: hello.slots,
    };
    Ok(Greeting { claimant, facts, held: hello.held })
}

#[tonic::async_trait]
impl WorkerSessions for WorkerSessionsService {
    type SessionStream = ReceiverStream<Outbound>;

    async fn session(
        &self,
        request: Request<Streaming<WorkerMessage>>,
    ) -> Result<Response<ReceiverStream<Outbound>>, Status> {
        if self.shared.stop.is_cancelled() {
            return Err(Status::unavailable("the coordinator is going away"));
        }
        self.open(request.into_inner()).await.map(Response::new)
    }

    async fn settle(&self, request: Request<SettleRequest>) -> Result<Response<SettleResponse>, Status> {
        Ok(Response::new(settling::settle(&self.shared, request.into_inner()).await?))
    }
}
