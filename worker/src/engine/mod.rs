//! The engine: the loop that gives the device's time to the tasks that are live.
//!
//! A *turn* is one pass: commands first (joins, cancels, drops, hand-backs, pauses, drain), then one bounded piece of work
//! for each live task in the order in which they joined. So a cancel or a drain acts within one step of every
//! live task, and no task waits for another's end. The engine runs on the device's own thread; it blocks on
//! commands while there is nothing to do, and ends when the commands' other end is gone.
//!
//! It knows tasks as [`Job`]s alone: what a job is made of is its own affair (an inversion or a generation).

mod generation_job;
mod inversion_job;
mod job;
mod order;
mod slot;
mod spec;
mod studio;
#[cfg(test)]
mod tests;

use std::time::Duration;

use tokio::sync::mpsc::error::{TryRecvError, TrySendError};
use tokio::sync::mpsc::{Receiver, Sender};

pub use job::{Job, JobOpener};
pub use order::{
    Attempt, Blame, BoundPerson, Command, DrawnPicture, DrawnPictures, Ending, Event, Fault, LearnedPerson,
    Order, Work,
};
pub use slot::LiveAttempts;
pub use studio::{LoadedModel, Studio};

use slot::Slot;

/// Runs turns until the commands' sender is gone or nobody listens to the events.
///
/// `live` always names the attempts that are on the device, for whoever has to answer for them if this thread dies.
pub fn run<E: From<Event>>(
    opener: &dyn JobOpener,
    commands: &mut Receiver<Command>,
    events: &Sender<E>,
    live: &LiveAttempts,
    report_interval: Duration,
) {
    let mut slots: Vec<Slot<'_>> = Vec::new();
    while let Some(arrived) = next_commands(commands, slots.iter().any(Slot::wants_the_device)) {
        for command in arrived {
            obey(command, opener, &mut slots, live, report_interval);
        }
        live.set(slots.iter().map(Slot::attempt));
        for slot in &mut slots {
            for event in slot.take_turn() {
                if !tell(events, event) {
                    return;
                }
            }
        }
        slots.retain(|slot| !slot.is_over());
        live.set(slots.iter().map(Slot::attempt));
    }
}

/// The commands that have arrived; waits for one where there is no work. `None` when no more can come.
fn next_commands(commands: &mut Receiver<Command>, busy: bool) -> Option<Vec<Command>> {
    let mut arrived = Vec::new();
    if !busy {
        arrived.push(commands.blocking_recv()?);
    }
    loop {
        match commands.try_recv() {
            Ok(command) => arrived.push(command),
            Err(TryRecvError::Empty) => return Some(arrived),
            Err(TryRecvError::Disconnected) => return None,
        }
    }
}

fn obey<'m>(
    command: Command,
    opener: &'m dyn JobOpener,
    slots: &mut Vec<Slot<'m>>,
    live: &LiveAttempts,
    report_interval: Duration,
) {
    match command {
        Command::Join(order) => {
            let attempt = order.attempt;
            if slots.iter().any(|slot| slot.attempt() == attempt) {
                tracing::warn!(%attempt, "this attempt is live already, its second start is refused");
                return;
            }
            live.add(attempt);
            slots.push(Slot::open(opener, *order, report_interval));
        }
        Command::Cancel(attempt) => with_slot(slots, attempt, Slot::cancel),
        Command::Drop(attempt) => slots.retain(|slot| slot.attempt() != attempt),
        Command::HandBack(attempt) => with_slot(slots, attempt, Slot::hand_back),
        Command::Pause(attempt) => with_slot(slots, attempt, Slot::pause),
        Command::Resume(attempt) => with_slot(slots, attempt, Slot::resume),
        Command::Drain => slots.iter_mut().for_each(Slot::hand_back),
    }
}

/// An attempt that is not live any more has ended by itself: its event is on the way, the command has no object.
fn with_slot<'m>(slots: &mut [Slot<'m>], attempt: Attempt, act: impl FnOnce(&mut Slot<'m>)) {
    if let Some(slot) = slots.iter_mut().find(|slot| slot.attempt() == attempt) {
        act(slot);
    }
}

/// Progress may be lost when the listener is behind: a newer one follows. Endings wait for the listener.
/// False when nobody listens any more.
fn tell<E: From<Event>>(events: &Sender<E>, event: Event) -> bool {
    match event {
        Event::Progress { .. } => !matches!(events.try_send(event.into()), Err(TrySendError::Closed(_))),
        Event::Ended { .. } => events.blocking_send(event.into()).is_ok(),
    }
}
