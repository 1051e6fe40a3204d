//! What the engine knows of a task and of the device: which stage a task is in, how many rows it has there, and how to
//! make a pass for several at once.

use bytes::Bytes;
use likeness_shared::proto::Progress;

use super::order::{Ending, Fault, Order, Preview};

/// What kind of work a task wants next. Tasks in the same stage can share a pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stage {
    /// Photos are read and cut, on the host.
    Intake,
    /// Photos go through the VAE's encoder.
    Encode,
    /// A training iteration: forward and backward to the vectors.
    Train,
    /// The loss on a task's fixed batch is measured: forward alone.
    Watch,
    /// A prompt goes through the text encoder.
    Prompt,
    /// A sampler step: forward, in guidance pairs.
    Sample,
    /// Latents go through the VAE's decoder.
    Decode,
    /// Networks look at a picture, to score it.
    Look,
}

/// Who waits for a task. The two sides share the device by time; their rows may share a pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// Inversions, which take minutes.
    Learning,
    /// Generations, in front of which somebody sits.
    Drawing,
}

/// What has to agree for rows to share a pass: the model and the picture's size. Every class costs kernels tuned for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Class {
    /// Which of the worker's models.
    pub model: usize,
    /// Width and height in pixels.
    pub size: (u32, u32),
}

/// What a task wants of the device next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Demand {
    /// On whose time.
    pub side: Side,
    /// Which kind of work.
    pub stage: Stage,
    /// With whom it can be done together.
    pub class: Class,
    /// Rows of one step; at least 1.
    pub rows: u32,
}

/// A task under way, made of steps.
pub trait Job {
    /// What the next step needs.
    fn demand(&self) -> Demand;

    /// Where it is: steps made and in all, phase, loss. The rate is filled in by the engine.
    fn progress(&self) -> Progress;

    /// The state to resume from on another worker, where there is one.
    fn checkpoint(&self) -> Option<Bytes>;

    /// How the task ends all the same where this fault would end it: its result was there before.
    fn salvage(&self, _fault: &Fault) -> Option<Ending> {
        None
    }

    /// A preview that has been finished since this was asked last.
    fn take_preview(&mut self) -> Option<Preview> {
        None
    }
}

/// What a step of one task led to: an ending, or nothing yet.
pub type Stepped = Result<Option<Ending>, Fault>;

/// A pass that was not made; no task has changed.
#[derive(Debug)]
pub enum PassError {
    /// The device has not the memory for so many rows.
    OutOfMemory,
    /// Something about the members, or one of them.
    Failed(Fault),
}

/// Memory of the device, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// What is used where there are no tasks: the models.
    pub base: u64,
    /// The most that has been used so far.
    pub peak: u64,
    /// What may be used.
    pub budget: u64,
}

/// The device with what is loaded on it.
pub trait Machine {
    /// A task on it.
    type Job<'m>: Job
    where
        Self: 'm;

    /// Checks an order and prepares its job without working on the device for long.
    fn open<'m>(&'m self, order: Order) -> Result<Self::Job<'m>, Fault>;

    /// Makes one step of each job in one pass, at most `most_rows` rows at a time. All jobs demand the same stage and class.
    /// What a step leads to does not depend on the other jobs. The outcomes come in the order of the jobs.
    ///
    /// # Errors
    /// [`PassError`] where no step was made of any of them.
    fn pass<'m>(
        &'m self,
        stage: Stage,
        jobs: &mut [&mut Self::Job<'m>],
        most_rows: u32,
    ) -> Result<Vec<Stepped>, PassError>;

    /// Its memory, where it can tell.
    fn memory(&self) -> Option<Memory> {
        None
    }

    /// A task has ended: what was held for it may go back to the device. Between passes.
    fn tidy(&self) {}
}
