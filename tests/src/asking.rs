//! A client of the fleet for tests: submits work of the simulated device's size, and waits for what becomes of it.
//! Blocks; the client's own work is done on a runtime beside it.

use std::time::{Duration, Instant};

use likeness_shared::client::{Client, ClientConfig, ClientError};
use likeness_shared::ids::{Digest, RequestId, TaskId};
use likeness_shared::proto::{
    Consent, GenerationSpec, InversionSpec, PhraseStart, Start, SubmitGenerationRequest,
    SubmitInversionRequest, SubmitTaskResponse, Task, TaskState, Worker, start,
};
use tokio::runtime::Runtime;

use crate::fleet::START;

/// Bytes that stand for photos: the simulated device does not look at them.
const PHOTOS: [&[u8]; 3] = [b"first photo", b"second photo", b"third photo"];

/// Between two looks at a worker.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// A connected client.
#[derive(Debug)]
pub struct Asking {
    runtime: Runtime,
    /// The client itself, for calls that are not here.
    pub client: Client,
}

impl Asking {
    /// Connects to the coordinators of a list separated by commas.
    ///
    /// # Panics
    /// Where none of them answers in time.
    #[must_use]
    pub fn connect(servers: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime can be made");
        let client = runtime.block_on(Client::connect_with(ClientConfig {
            request_timeout: Duration::from_secs(10),
            ..ClientConfig::new(servers)
        }));
        Self { runtime, client: client.unwrap_or_else(|error| panic!("{error}")) }
    }

    /// What a call gives, blocking.
    pub fn block_on<T>(&self, call: impl Future<Output = T>) -> T {
        self.runtime.block_on(call)
    }

    /// Submits an inversion that starts from this phrase.
    ///
    /// # Panics
    /// Where it is refused.
    #[must_use]
    pub fn invert(&self, steps: u32, phrase: &str) -> TaskId {
        let photos = self.block_on(upload_photos(&self.client));
        let request = inversion_of(&photos, steps, phrase);
        task_id(self.block_on(self.client.submit_inversion(request)))
    }

    /// Submits a generation of so many steps.
    ///
    /// # Panics
    /// Where it is refused.
    #[must_use]
    pub fn generate(&self, steps: u32, prompt: &str) -> TaskId {
        task_id(self.block_on(self.client.submit_generation(generation(steps, prompt))))
    }

    /// The task as it is.
    ///
    /// # Panics
    /// Where nobody can say.
    #[must_use]
    pub fn task(&self, id: TaskId) -> Task {
        self.block_on(self.client.get_task(id)).unwrap_or_else(|error| panic!("task {id}: {error}"))
    }

    /// Follows a task until it is as wanted.
    ///
    /// # Panics
    /// With the task as it was last seen, where the time runs out or it ends otherwise.
    pub fn until(&self, what: &str, id: TaskId, within: Duration, wanted: impl Fn(&Task) -> bool) -> Task {
        let mut watch = self.client.watch_task(id, 0);
        let deadline = Instant::now() + within;
        let mut last = None;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let next = self.block_on(async { tokio::time::timeout(left, watch.next()).await });
            match next {
                Ok(Ok(Some(task))) if wanted(&task) => return task,
                Ok(Ok(Some(task))) => last = Some(task),
                Ok(Ok(None)) => panic!("{what}: the task ended otherwise: {last:#?}"),
                Ok(Err(error)) => panic!("{what}: {error}; the task was {last:#?}"),
                Err(_) => panic!("{what}: not within {within:?}; the task is {last:#?}"),
            }
        }
    }

    /// Follows a task until it has made at least so many steps under a worker.
    pub fn until_step(&self, id: TaskId, step: u32) -> Task {
        let trained = |task: &Task| task.state() == TaskState::Running && step_of(task) >= step;
        self.until(&format!("step {step}"), id, START, trained)
    }

    /// Asks about a worker until it is as `wanted`.
    ///
    /// # Panics
    /// Where that takes too long.
    pub fn until_worker(&self, name: &str, within: Duration, wanted: impl Fn(&Worker) -> bool) -> Worker {
        let (id, since) = (name.parse().expect("a worker's name"), Instant::now());
        loop {
            let worker = self.block_on(self.client.get_worker(&id));
            match worker {
                Ok(worker) if wanted(&worker) => return worker,
                seen => assert!(since.elapsed() < within, "{name} is not as wanted: {seen:?}"),
            }
            std::thread::sleep(LOOK_AGAIN);
        }
    }

    /// Follows a task to its success.
    pub fn until_success(&self, id: TaskId, within: Duration) -> Task {
        self.until("success", id, within, |task| task.state() == TaskState::Succeeded)
    }
}

/// The step that the task has reported.
#[must_use]
pub fn step_of(task: &Task) -> u32 {
    task.progress.as_ref().map_or(0, |progress| progress.step)
}

/// How often the task was started, lost by its worker's fault, and handed back.
#[must_use]
pub fn attempts(task: &Task) -> (u32, u32, u32) {
    task.attempts
        .as_ref()
        .map_or((0, 0, 0), |counts| (counts.started, counts.infrastructure_failures, counts.hand_backs))
}

/// Uploads what stands for photos, and gives the digests.
///
/// # Panics
/// Where that is refused.
pub async fn upload_photos(client: &Client) -> Vec<String> {
    let mut digests = Vec::new();
    for photo in PHOTOS {
        let uploaded = client.artifacts().upload(photo, "image/jpeg").await;
        digests.push(uploaded.unwrap_or_else(|error| panic!("{error}")).to_string());
    }
    digests
}

/// An inversion of uploaded photos, to be submitted.
#[must_use]
pub fn inversion_of(photos: &[String], steps: u32, phrase: &str) -> SubmitInversionRequest {
    let request = RequestId::generate().to_string();
    let start = (!phrase.is_empty())
        .then(|| Start { kind: Some(start::Kind::Face(PhraseStart { phrase: phrase.to_owned() })) });
    SubmitInversionRequest {
        request_id: request.clone(),
        tenant: "faults".to_owned(),
        user: "anna".to_owned(),
        spec: Some(InversionSpec {
            photo_digests: photos.to_vec(),
            person_name: format!("p-{}", request.to_lowercase()),
            steps: Some(steps),
            start,
            consent: Some(Consent {
                version: "1".to_owned(),
                statement_sha256: Digest::of(b"I agree").to_string(),
            }),
            ..InversionSpec::default()
        }),
        timing: None,
    }
}

/// A generation to be submitted.
#[must_use]
pub fn generation(steps: u32, prompt: &str) -> SubmitGenerationRequest {
    SubmitGenerationRequest {
        request_id: RequestId::generate().to_string(),
        tenant: "faults".to_owned(),
        user: "anna".to_owned(),
        spec: Some(GenerationSpec {
            prompt: prompt.to_owned(),
            steps: Some(steps),
            ..GenerationSpec::default()
        }),
        timing: None,
    }
}

fn task_id(submitted: Result<SubmitTaskResponse, ClientError>) -> TaskId {
    let task = submitted.unwrap_or_else(|error| panic!("{error}")).task.expect("a submitted task");
    task.id.parse().expect("a task's id")
}
