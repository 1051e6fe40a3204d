//! What the engine knows of a task.

use bytes::Bytes;
use likeness_shared::proto::Progress;

use super::order::{Ending, Fault, Order};

/// A task under way, made of bounded pieces of work.
pub trait Job {
    /// Does the next piece: one photo, one training iteration, one sampler step, one decoding. `Some` at the end.
    fn advance(&mut self) -> Result<Option<Ending>, Fault>;

    /// Where it is: steps made and in all, phase, loss. The rate is filled in by the engine.
    fn progress(&self) -> Progress;

    /// The state to resume from on another worker, where there is one.
    fn checkpoint(&self) -> Option<Bytes>;
}

/// Makes jobs of orders.
pub trait JobOpener {
    /// Checks an order and prepares its job without working on the device for long.
    fn open<'m>(&'m self, order: Order) -> Result<Box<dyn Job + 'm>, Fault>;
}
