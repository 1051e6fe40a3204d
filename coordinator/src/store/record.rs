//! What the store keeps of a task and of a person.
//!
//! Every field is derived from the requests that made it; nothing here knows how it is written to disk or in which
//! indexes it appears (`indexes.rs` computes those from the record alone).

use likeness_shared::ids::{
    Digest, Fence, Incarnation, PersonId, PersonName, TaskId, TenantName, UserName, WorkerId,
};
use likeness_shared::proto::{
    AttemptCounts, GenerationResult, GenerationSpec, InversionResult, InversionSpec, Progress, QualityReport,
    TaskKind, TaskState,
};
use serde::{Deserialize, Serialize};

use super::fair::{Lane, class_byte, units_left};
use super::prost_serde;

/// Microseconds since 1970 by the store's clock, which never goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct StoreTime(pub u64);

impl StoreTime {
    /// This time and `duration` more.
    #[must_use]
    pub fn plus(self, duration: std::time::Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)))
    }

    /// The next moment.
    #[must_use]
    pub fn after(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// `duration` before this time.
    #[must_use]
    pub fn minus(self, duration: std::time::Duration) -> Self {
        Self(self.0.saturating_sub(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)))
    }
}

/// Whose a task or a person is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Owner {
    /// The platform.
    pub tenant: TenantName,
    /// The platform's user.
    pub user: UserName,
}

/// What is to be done, with every default filled in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(clippy::large_enum_variant)] // lives within the record of one task: an allocation would cost more than it saves
pub enum Spec {
    /// Learn a person.
    Inversion(#[serde(with = "prost_serde")] InversionSpec),
    /// Draw pictures.
    Generation(#[serde(with = "prost_serde")] GenerationSpec),
}

impl Spec {
    /// The kind of work.
    #[must_use]
    pub fn kind(&self) -> TaskKind {
        match self {
            Self::Inversion(_) => TaskKind::Inversion,
            Self::Generation(_) => TaskKind::Generation,
        }
    }

    /// Where tasks like this one wait.
    #[must_use]
    pub fn lane(&self) -> Lane {
        Lane { model: self.model().to_owned(), class: class_byte(self.kind()) }
    }

    /// The model asked for; empty = the fleet's default model.
    #[must_use]
    pub fn model(&self) -> &str {
        match self {
            Self::Inversion(spec) => &spec.model,
            Self::Generation(spec) => &spec.model,
        }
    }
}

/// Who works on a task, until when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tenure {
    /// The worker.
    pub worker: WorkerId,
    /// Its process.
    pub incarnation: Incarnation,
    /// Number of this lease; `TaskRecord::last_fence` holds the same.
    pub fence: Fence,
    /// When it was given.
    pub since: StoreTime,
    /// When the lease ends unless a beat renews it.
    pub expires: StoreTime,
    /// The worker is asked to give the task back.
    pub hand_back: bool,
}

/// Why a task ended without a result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Stable code.
    pub code: String,
    /// What happened and what to do.
    pub message: String,
    /// Where; empty = no worker had a part in it.
    pub worker: String,
}

/// What came out of a task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Outcome {
    /// A person, registered in the same step.
    Inversion(#[serde(with = "prost_serde")] InversionResult),
    /// Pictures.
    Generation(#[serde(with = "prost_serde")] GenerationResult),
}

/// Where a task is in its life. The transitions are in `transition.rs`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum State {
    /// Waits for its time, `TaskRecord::not_before`.
    Scheduled,
    /// Waits for a worker.
    Queued,
    /// Kept back by an operator.
    Held {
        /// Why, as the operator said.
        reason: String,
    },
    /// Given to a worker that has not yet reported anything.
    Leased(Tenure),
    /// A worker reports progress.
    Running(Tenure),
    /// Has a result.
    Succeeded(Outcome),
    /// Ended by an error.
    Failed(Failure),
    /// Ended on request.
    Cancelled,
    /// Crashed too many workers.
    Quarantined(Failure),
    /// Was not started before its deadline.
    Expired(Failure),
}

impl State {
    /// The state's name on the wire.
    #[must_use]
    pub fn wire(&self) -> TaskState {
        match self {
            Self::Scheduled => TaskState::Scheduled,
            Self::Queued => TaskState::Queued,
            Self::Held { .. } => TaskState::Held,
            Self::Leased(_) => TaskState::Leased,
            Self::Running(_) => TaskState::Running,
            Self::Succeeded(_) => TaskState::Succeeded,
            Self::Failed(_) => TaskState::Failed,
            Self::Cancelled => TaskState::Cancelled,
            Self::Quarantined(_) => TaskState::Quarantined,
            Self::Expired(_) => TaskState::Expired,
        }
    }

    /// The lease, if a worker has one.
    #[must_use]
    pub fn tenure(&self) -> Option<&Tenure> {
        match self {
            Self::Leased(tenure) | Self::Running(tenure) => Some(tenure),
            _ => None,
        }
    }

    /// Whether the task has ended. It never changes again, unless an operator has it tried again.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        match self {
            Self::Scheduled | Self::Queued | Self::Held { .. } | Self::Leased(_) | Self::Running(_) => false,
            Self::Succeeded(_)
            | Self::Failed(_)
            | Self::Cancelled
            | Self::Quarantined(_)
            | Self::Expired(_) => true,
        }
    }
}

/// A settlement that was accepted, so that its repetition is recognised.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settled {
    /// The lease that it ended.
    pub fence: Fence,
    /// Of the outcome's bytes.
    pub outcome: Digest,
}

/// Attempts apart by cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Attempts {
    /// Leases given.
    pub started: u32,
    /// The task itself failed.
    pub application_failures: u32,
    /// The worker died or fell silent.
    pub infrastructure_failures: u32,
    /// The worker gave the task back in good order.
    pub hand_backs: u32,
}

impl From<Attempts> for AttemptCounts {
    fn from(attempts: Attempts) -> Self {
        Self {
            started: attempts.started,
            application_failures: attempts.application_failures,
            infrastructure_failures: attempts.infrastructure_failures,
            hand_backs: attempts.hand_backs,
        }
    }
}

/// A task as the store keeps it. Its checkpoint lies beside it, for it is written far more often than read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskRecord {
    /// Given at submit.
    pub id: TaskId,
    /// Order of submission over the whole store; grows strictly.
    pub number: u64,
    /// Whose.
    pub owner: Owner,
    /// What.
    pub spec: Spec,
    /// Where in its life.
    pub state: State,
    /// Not to be started before; kept only while the task waits for it.
    pub not_before: Option<StoreTime>,
    /// Expires unless it has been leased by then, once.
    pub start_deadline: Option<StoreTime>,
    /// True after the first lease: such a task waits at the front of its user's queue.
    pub was_leased: bool,
    /// Grows by one with every change that a watcher can see.
    pub revision: u64,
    /// The newest lease's fence; 0 = never leased.
    pub last_fence: Fence,
    /// The worker of the newest lease; empty = never leased.
    pub last_worker: String,
    /// Newest report, and the fence under which it came.
    #[serde(with = "prost_serde::optional")]
    pub progress: Option<Progress>,
    /// Fence of `progress`.
    pub progress_fence: Fence,
    /// Somebody asked to stop.
    pub cancel_requested: bool,
    /// An operator asked to keep it back, and why; it is held once its worker has let it go.
    pub hold_requested: Option<String>,
    /// Attempts apart by cause.
    pub attempts: Attempts,
    /// Of the application failures, those that diverged.
    pub diverged: u32,
    /// All attempts that ever diverged: mixed into the seed of the next one.
    pub reseed: u32,
    /// Workers under which an attempt was lost, each once.
    pub lost_on: Vec<WorkerId>,
    /// The newest few errors, oldest first.
    pub last_errors: Vec<String>,
    /// The newest few accepted settlements, oldest first.
    pub settled: Vec<Settled>,
    /// Device time of the ended attempts, in microseconds.
    pub device_time_us: u64,
    /// GPU time charged to the user for this task so far, in microseconds: that of the ended attempts, and for the open
    /// one what was estimated, or reported where that is more.
    pub charged_us: u64,
    /// The open attempt's part of it.
    pub attempt_charge_us: u64,
    /// Device time of the open attempt as last reported, in microseconds.
    pub attempt_time_us: u64,
    /// The step from which the next attempt (or the open one) begins.
    pub resumes_from: u32,
    /// GPU time that one unit of this task's work is expected to take, in nanoseconds.
    pub unit_ns: u64,
    /// How far units have been from that, on average, in nanoseconds.
    pub unit_deviation_ns: u64,
    /// The device of the newest lease, as estimates tell devices apart.
    pub device: String,
    /// Submitted.
    pub created: StoreTime,
    /// First lease.
    pub started: Option<StoreTime>,
    /// Terminal state reached.
    pub ended: Option<StoreTime>,
}

impl TaskRecord {
    /// GPU time that the rest of the task is expected to take, in microseconds.
    #[must_use]
    pub fn expected_us(&self) -> u64 {
        self.unit_ns.saturating_mul(units_left(&self.spec, self.resumes_from)) / 1000
    }
}

/// A learned person.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PersonRecord {
    /// Given at registration.
    pub id: PersonId,
    /// Whose.
    pub owner: Owner,
    /// Unique within the owner's people.
    pub name: PersonName,
    /// The text that stands for the person.
    pub placeholder: String,
    /// Digest of the model; empty = unknown.
    pub model_digest: String,
    /// The learned-person file.
    pub artifact: Digest,
    /// Number of vectors (K).
    pub vectors: u32,
    /// Width of a vector (D).
    pub width: u32,
    /// The inversion that learned the person; `None` for an import.
    pub task: Option<TaskId>,
    /// Registered.
    pub created: StoreTime,
    /// How well the person is drawn, where the inversion was asked for it. Records of earlier versions end before it.
    #[serde(with = "prost_serde::last")]
    pub quality: Option<Box<QualityReport>>,
}
