//! The `Tasks` service: submitting work, following it, stopping it.

use std::pin::Pin;
use std::time::Duration;

use futures::{Stream, stream};
use likeness_shared::errors::ServiceError;
use likeness_shared::ids::{Digest, PersonId, RequestId, TaskId};
use likeness_shared::limits::{Checks, fill_generation, fill_inversion, fill_timing};
use likeness_shared::proto::tasks_server::Tasks;
use likeness_shared::proto::{
    CancelTaskRequest, CancelTasksRequest, CancelTasksResponse, ExplainTaskRequest, ExplainTaskResponse,
    GenerationSpec, GetTaskRequest, InversionSpec, ListTasksRequest, ListTasksResponse,
    SubmitGenerationRequest, SubmitInversionRequest, SubmitTaskResponse, Task, Timing, WaitTaskRequest,
    WatchTaskRequest, WatchTaskResponse, start,
};
use likeness_shared::series::Cursor;
use prost::Message;
use tokio::time::{Instant, timeout_at};
use tonic::{Request, Response, Status};

use super::feed::Follower;
use super::{Shared, bulk, explain, listing, wire};
use crate::store::record::{Owner, Spec};
use crate::store::{NewTask, Submitted};

/// `WaitTask` where the request does not say.
const DEFAULT_WAIT: Duration = Duration::from_secs(60);
/// `WaitTask` at most.
const MAX_WAIT: Duration = Duration::from_secs(300);

#[derive(Debug)]
pub(super) struct TasksService {
    shared: Shared,
}

impl TasksService {
    pub(super) fn new(shared: Shared) -> Self {
        Self { shared }
    }

    async fn inversion(&self, request: SubmitInversionRequest) -> Result<SubmitTaskResponse, ServiceError> {
        let body = body_digest("inversion", request.spec.as_ref(), request.timing.as_ref());
        let mut checks = Checks::new();
        let owner = wire::owner(&request.tenant, &request.user, &mut checks);
        let id: Option<RequestId> = checks.parse("request_id", &request.request_id);
        let spec = fill_inversion(request.spec, &mut checks);
        let times = fill_timing(request.timing, &mut checks);
        checks.finish()?;
        let (owner, id) = (wire::checked(owner)?, wire::checked(id)?);
        if let Some(repeated) = self.repeated(&owner, &id, body).await? {
            return Ok(repeated);
        }
        self.require_artifacts(files_of(&spec)).await?;
        self.submit(NewTask { owner, request: id, body, spec: Spec::Inversion(spec), times }).await
    }

    async fn generation(&self, request: SubmitGenerationRequest) -> Result<SubmitTaskResponse, ServiceError> {
        let body = body_digest("generation", request.spec.as_ref(), request.timing.as_ref());
        let mut checks = Checks::new();
        let owner = wire::owner(&request.tenant, &request.user, &mut checks);
        let id: Option<RequestId> = checks.parse("request_id", &request.request_id);
        let spec = fill_generation(request.spec, &mut checks);
        let times = fill_timing(request.timing, &mut checks);
        checks.finish()?;
        let (owner, id) = (wire::checked(owner)?, wire::checked(id)?);
        // without people and files there is nothing that may have gone since, and the store knows a repetition by itself
        if !spec.people.is_empty() || spec.init_image.is_some() {
            if let Some(repeated) = self.repeated(&owner, &id, body).await? {
                return Ok(repeated);
            }
            self.require_people(&owner, &spec).await?;
            let needed = spec.init_image.iter().map(|image| image.artifact_digest.as_str());
            self.require_artifacts(needed).await?;
        }
        self.submit(NewTask { owner, request: id, body, spec: Spec::Generation(spec), times }).await
    }

    /// What this request made before, whatever has become of its photos and people since.
    async fn repeated(
        &self,
        owner: &Owner,
        request: &RequestId,
        body: Digest,
    ) -> Result<Option<SubmitTaskResponse>, ServiceError> {
        let asked = self.shared.store.submitted(owner.clone(), request.clone(), body);
        let found = self.shared.stored(asked).await?;
        Ok(found.map(|task| self.reply(Submitted { task, repeated: true })))
    }

    async fn submit(&self, task: NewTask) -> Result<SubmitTaskResponse, ServiceError> {
        let submitted = self.shared.stored(self.shared.store.submit(task)).await?;
        let (id, kind) = (submitted.task.id, submitted.task.spec.kind());
        tracing::debug!(task = %id, kind = kind.as_str_name(), repeated = submitted.repeated, "task submitted");
        Ok(self.reply(submitted))
    }

    fn reply(&self, submitted: Submitted) -> SubmitTaskResponse {
        SubmitTaskResponse {
            task: Some(wire::task(submitted.task)),
            durability: self.shared.store.durability().into(),
            repeated: submitted.repeated,
        }
    }

    async fn require_artifacts(&self, needed: impl Iterator<Item = &str>) -> Result<(), ServiceError> {
        let needed: Vec<Digest> = needed.filter_map(|text| text.parse().ok()).collect();
        listing::require_artifacts(&self.shared, &needed).await
    }

    /// Everyone bound must be the owner's, and stand behind a word of the prompt that is nobody else's.
    async fn require_people(&self, owner: &Owner, spec: &GenerationSpec) -> Result<(), ServiceError> {
        let mut checks = Checks::new();
        let mut taken: Vec<String> = Vec::new();
        for (index, binding) in spec.people.iter().enumerate() {
            let field = format!("spec.people[{index}]");
            let id: PersonId = wire::id(&format!("{field}.person_id"), &binding.person_id)?;
            let person = match self.shared.stored(self.shared.store.person(id)).await {
                Ok(person) if person.owner == *owner => person,
                Ok(_) | Err(ServiceError::NotFound { .. }) => {
                    let description = format!("{} has no such person", owner.user);
                    return Err(ServiceError::unmet("PERSON_MISSING", id.to_string(), description));
                }
                Err(error) => return Err(error),
            };
            let placeholder =
                if binding.placeholder.is_empty() { person.placeholder } else { binding.placeholder.clone() };
            let field = format!("{field}.placeholder");
            let in_prompt = spec.prompt.contains(&placeholder) || spec.negative_prompt.contains(&placeholder);
            checks.require(in_prompt, &field, || format!("{placeholder:?} does not occur in the prompt"));
            checks.require(!taken.contains(&placeholder), &field, || {
                format!("two people stand behind {placeholder:?}: give each a word of his own")
            });
            taken.push(placeholder);
        }
        checks.finish()
    }

    /// The task when it is terminal, or as it is at the deadline.
    async fn wait(&self, id: TaskId, wait: Duration) -> Result<Task, ServiceError> {
        let deadline = Instant::now() + wait;
        let mut follower = self.shared.feed.follow(id);
        loop {
            let task = self.shared.stored(self.shared.store.task(id)).await?;
            if task.state.is_terminal() || Instant::now() >= deadline {
                return Ok(wire::task(task));
            }
            tokio::select! {
                () = self.shared.stop.cancelled() => return Err(going_away()),
                // at the deadline the task is read once more and given back
                _ = timeout_at(deadline, follower.changed()) => {}
            }
        }
    }
}

/// The files that an inversion reads.
fn files_of(spec: &InversionSpec) -> impl Iterator<Item = &str> {
    let start_file = match spec.start.as_ref().and_then(|start| start.kind.as_ref()) {
        Some(start::Kind::Vectors(vectors)) => Some(vectors.artifact_digest.as_str()),
        _ => None,
    };
    spec.photo_digests.iter().map(String::as_str).chain(start_file)
}

/// Tells one submit's body from another's.
fn body_digest(kind: &str, spec: Option<&impl Message>, timing: Option<&Timing>) -> Digest {
    let mut bytes = kind.as_bytes().to_vec();
    bytes.extend(spec.map(Message::encode_length_delimited_to_vec).unwrap_or_default());
    bytes.extend(timing.map(Message::encode_to_vec).unwrap_or_default());
    Digest::of(&bytes)
}

fn going_away() -> ServiceError {
    ServiceError::Unavailable {
        message: "the coordinator is going away".to_owned(),
        retry_after: Duration::from_millis(500),
    }
}

/// One watch: what it follows and what its client has seen.
struct Watch {
    shared: Shared,
    id: TaskId,
    seen: u64,
    points: Cursor,
    follower: Follower,
    finished: bool,
}

impl Watch {
    /// The next state newer than what the client has seen; `None` after the terminal one, and when the coordinator
    /// goes away: the client then reconnects with its cursor.
    async fn next(&mut self) -> Result<Option<WatchTaskResponse>, ServiceError> {
        while !self.finished {
            let task = self.shared.stored(self.shared.store.task(self.id)).await?;
            self.finished = task.state.is_terminal();
            if task.revision > self.seen {
                self.seen = task.revision;
                let metrics = self.shared.series.read_on(self.id, &mut self.points).await;
                return Ok(Some(WatchTaskResponse { task: Some(wire::task(task)), metrics }));
            }
            if self.finished {
                break;
            }
            tokio::select! {
                () = self.shared.stop.cancelled() => break,
                () = self.follower.changed() => {}
            }
        }
        Ok(None)
    }
}

type WatchStream = Pin<Box<dyn Stream<Item = Result<WatchTaskResponse, Status>> + Send>>;

#[tonic::async_trait]
impl Tasks for TasksService {
    type WatchTaskStream = WatchStream;

    async fn submit_inversion(
        &self,
        request: Request<SubmitInversionRequest>,
    ) -> Result<Response<SubmitTaskResponse>, Status> {
        Ok(Response::new(self.inversion(request.into_inner()).await?))
    }

    async fn submit_generation(
        &self,
        request: Request<SubmitGenerationRequest>,
    ) -> Result<Response<SubmitTaskResponse>, Status> {
        Ok(Response::new(self.generation(request.into_inner()).await?))
    }

    async fn get_task(&self, request: Request<GetTaskRequest>) -> Result<Response<Task>, Status> {
        let id = wire::id("id", &request.get_ref().id)?;
        let task = self.shared.stored(self.shared.store.task(id)).await?;
        Ok(Response::new(wire::task(task)))
    }

    async fn list_tasks(
        &self,
        request: Request<ListTasksRequest>,
    ) -> Result<Response<ListTasksResponse>, Status> {
        Ok(Response::new(listing::list_tasks(&self.shared, request.into_inner()).await?))
    }

    async fn wait_task(&self, request: Request<WaitTaskRequest>) -> Result<Response<Task>, Status> {
        let request = request.into_inner();
        let id = wire::id("id", &request.id)?;
        let wait = match request.timeout {
            None => DEFAULT_WAIT,
            Some(asked) => {
                let asked = Duration::try_from(asked).ok().filter(|asked| *asked <= MAX_WAIT);
                asked.ok_or_else(|| ServiceError::invalid("timeout", "must be 0 to 5 minutes"))?
            }
        };
        Ok(Response::new(self.wait(id, wait).await?))
    }

    async fn watch_task(&self, request: Request<WatchTaskRequest>) -> Result<Response<WatchStream>, Status> {
        let WatchTaskRequest { id, after_revision } = request.into_inner();
        let id = wire::id("id", &id)?;
        let follower = self.shared.feed.follow(id);
        // an unknown task is answered at once, not in the stream
        self.shared.stored(self.shared.store.task(id)).await?;
        let watch = Watch {
            shared: self.shared.clone(),
            id,
            seen: after_revision,
            points: Cursor::default(),
            follower,
            finished: false,
        };
        let states = stream::try_unfold(watch, async |mut watch| {
            let next = watch.next().await.map_err(Status::from)?;
            Ok(next.map(|response| (response, watch)))
        });
        Ok(Response::new(Box::pin(states)))
    }

    async fn cancel_tasks(
        &self,
        request: Request<CancelTasksRequest>,
    ) -> Result<Response<CancelTasksResponse>, Status> {
        Ok(Response::new(bulk::cancel_tasks(&self.shared, request.into_inner()).await?))
    }

    async fn explain_task(
        &self,
        request: Request<ExplainTaskRequest>,
    ) -> Result<Response<ExplainTaskResponse>, Status> {
        let id = wire::id("id", &request.get_ref().id)?;
        Ok(Response::new(explain::explain(&self.shared, id).await?))
    }

    async fn cancel_task(&self, request: Request<CancelTaskRequest>) -> Result<Response<Task>, Status> {
        let id = wire::id("id", &request.get_ref().id)?;
        let task = self.shared.stored(self.shared.store.request_cancel(id)).await?;
        tracing::info!(task = %id, state = task.state.wire().as_str_name(), "cancellation requested");
        Ok(Response::new(wire::task(task)))
    }
}
