//! What goes to the engine and what comes back: plain values, no connection and no tensor among them.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use likeness_shared::ids::{Fence, TaskId};
use likeness_shared::proto::{
    GenerationSpec, InversionSpec, PhotoReport, Progress, QualityAbsence, QualityReport,
};

/// One lease of one task: the engine knows an attempt by both, never by the task alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Attempt {
    /// The task.
    pub task: TaskId,
    /// The lease's fence.
    pub fence: Fence,
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.task, self.fence)
    }
}

/// A task with everything that it needs, downloaded.
#[derive(Clone, Debug)]
pub struct Order {
    /// Which attempt.
    pub attempt: Attempt,
    /// How many attempts at the task there have been, this one included; 0 = the coordinator does not say.
    pub number: u32,
    /// How many attempts diverged: where it is not 0 the task's random numbers are drawn anew.
    pub reseed: u32,
    /// What to do.
    pub work: Work,
    /// Checkpoint to go on from; empty = from the start.
    pub checkpoint: Bytes,
}

/// What to do, and with which bytes.
#[derive(Clone, Debug)]
pub enum Work {
    /// Learn a person.
    Inversion {
        /// How.
        spec: Box<InversionSpec>,
        /// The photos' files, in the order of the spec.
        photos: Vec<Bytes>,
        /// The person file to start from, where the spec says so.
        start_file: Option<Bytes>,
    },
    /// Draw pictures.
    Generation {
        /// What.
        spec: Box<GenerationSpec>,
        /// The people of the prompt.
        people: Vec<BoundPerson>,
        /// The file of the picture to begin at, where the spec names one.
        init_image: Option<Bytes>,
    },
}

/// A person bound to a placeholder of a prompt.
#[derive(Clone, Debug)]
pub struct BoundPerson {
    /// The text in the prompt.
    pub placeholder: String,
    /// The person's id.
    pub id: String,
    /// The person file.
    pub file: Bytes,
    /// Digest of the model that the vectors belong to; empty when unknown.
    pub model_digest: String,
}

/// What the engine is told.
#[derive(Debug)]
pub enum Command {
    /// Take this task on.
    Join(Box<Order>),
    /// The task is cancelled: stop at the next step and say so.
    Cancel(Attempt),
    /// The lease is lost: stop at the next step, nobody waits for the outcome.
    Drop(Attempt),
    /// The task is to go on elsewhere: hand it back with its state at the next step.
    HandBack(Attempt),
    /// No work on this attempt until [`Command::Resume`]; its state is kept.
    Pause(Attempt),
    /// Go on.
    Resume(Attempt),
    /// Hand every task back at its next step.
    Drain,
}

/// What the engine says.
#[derive(Debug)]
pub enum Event {
    /// Where an attempt is. Newer ones replace older ones; some may be missing.
    Progress {
        /// Which attempt.
        attempt: Attempt,
        /// How far.
        progress: Progress,
        /// Its state, where it has one to resume from.
        checkpoint: Option<Bytes>,
        /// Time the device has worked for it so far.
        device_time: Duration,
    },
    /// A look at what is being learned.
    Previewed {
        /// Which attempt.
        attempt: Attempt,
        /// The picture.
        preview: Preview,
    },
    /// How many tasks can be live and all get on at the full pace; told when it changes.
    Room {
        /// Live ones included.
        tasks: u32,
    },
    /// The attempt is over. Never missing, except for dropped attempts.
    Ended {
        /// Which attempt.
        attempt: Attempt,
        /// How it ended.
        ending: Ending,
        /// Time the device worked for it.
        device_time: Duration,
    },
}

/// How an attempt ended.
#[derive(Debug)]
pub enum Ending {
    /// A person was learned.
    Learned(LearnedPerson),
    /// Pictures were drawn.
    Drawn(DrawnPictures),
    /// It failed.
    Failed(Fault),
    /// It was cancelled.
    Cancelled,
    /// It was handed back for another worker to go on.
    HandedBack {
        /// State to resume from; empty = none.
        checkpoint: Bytes,
        /// How far it was.
        progress: Progress,
    },
}

/// A small picture of a person who is being learned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preview {
    /// Iterations made when it was begun.
    pub step: u32,
    /// The file.
    pub png: Bytes,
}

/// A finished inversion.
#[derive(Clone, Debug)]
pub struct LearnedPerson {
    /// The person file (diffusers safetensors).
    pub file: Bytes,
    /// K.
    pub vectors: u32,
    /// D.
    pub width: u32,
    /// The model that the vectors belong to.
    pub model_digest: String,
    /// Smoothed loss at the end.
    pub final_loss: f64,
    /// Mean |v| / |v0| at the end.
    pub norm_ratio: f64,
    /// Iterations made.
    pub steps: u32,
    /// The iteration whose vectors these are, where the best were kept.
    pub kept_step: Option<u32>,
    /// Photos that it was learned from; 0 = not known.
    pub photos_used: u32,
    /// What was found of all that were given, where they were searched for faces.
    pub photos: Option<Box<PhotoReport>>,
    /// How well the person is drawn, where a report was asked for.
    pub quality: Option<Quality>,
}

/// What became of a quality report that was asked for.
#[derive(Clone, Debug, PartialEq)]
pub enum Quality {
    /// There is one.
    Report(Box<DrawnReport>),
    /// There is none.
    Absent(QualityAbsence),
}

/// A quality report whose pictures have not been uploaded.
#[derive(Clone, Debug, PartialEq)]
pub struct DrawnReport {
    /// The figures; its pictures have no digests.
    pub report: QualityReport,
    /// The pictures' files, in the order of the report: prompt by prompt.
    pub pictures: Vec<Bytes>,
}

/// A finished generation.
#[derive(Clone, Debug)]
pub struct DrawnPictures {
    /// In seed order.
    pub pictures: Vec<DrawnPicture>,
    /// What the caller should know.
    pub warnings: Vec<String>,
}

/// One picture.
#[derive(Clone, Debug)]
pub struct DrawnPicture {
    /// The file.
    pub png: Bytes,
    /// Its seed.
    pub seed: u64,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
}

/// Who is to blame for a failed attempt, and so what is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// The task: every attempt would meet the same.
    Task,
    /// Chance: another attempt may not meet it, from the start.
    Chance,
    /// The worker: the task is not charged, and goes on elsewhere from its newest checkpoint.
    Worker,
}

/// Why an attempt failed: a stable code, a sentence that says what to do, and who is to blame.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct Fault {
    /// Stable code, such as "corrupt" or "nan_loss".
    pub code: String,
    /// What happened and what to do.
    pub message: String,
    /// Who is to blame.
    pub blame: Blame,
    /// What was found of the task's photos, where they are the reason.
    pub photos: Option<Box<PhotoReport>>,
}

impl Fault {
    /// A fault that every attempt would meet again.
    pub fn lasting(code: &str, message: impl fmt::Display) -> Self {
        Self::new(code, message, Blame::Task)
    }

    /// A fault that another attempt may not meet.
    pub fn passing(code: &str, message: impl fmt::Display) -> Self {
        Self::new(code, message, Blame::Chance)
    }

    /// A fault of this worker, in which the task has no part.
    pub fn of_worker(code: &str, message: impl fmt::Display) -> Self {
        Self::new(code, message, Blame::Worker)
    }

    fn new(code: &str, message: impl fmt::Display, blame: Blame) -> Self {
        Self { code: code.to_owned(), message: message.to_string(), blame, photos: None }
    }

    /// The same, with what was found of the task's photos.
    #[must_use]
    pub fn about(self, photos: Box<PhotoReport>) -> Self {
        Self { photos: Some(photos), ..self }
    }
}
