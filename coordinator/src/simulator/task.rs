//! A task in the simulator, and where tasks are kept while they live.

use std::ops::{Index, IndexMut};

use super::shares::Seat;

/// A task and its newest attempt.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) seat: Seat,
    pub(super) product: usize,
    pub(super) submitted: u64,
    pub(super) was_leased: bool,
    /// Device time of the whole task at speed 1, in microseconds: the truth.
    pub(super) takes_us: f64,
    /// What it is thought to cost while it waits.
    pub(super) cost: u64,
    /// Steps that need not be done again.
    pub(super) steps_done: u32,
    /// Number of the attempt; it grows when one begins and when one is lost.
    pub(super) attempt: u32,
    pub(super) started: u64,
    /// Price of a unit in the attempt.
    pub(super) unit_ns: u64,
    /// What the attempt is charged.
    pub(super) charged: u64,
    /// What the attempt takes in truth; of a lost one, what its worker last reported.
    pub(super) attempt_us: u64,
}

impl Task {
    pub(super) fn new(seat: Seat, product: usize, submitted: u64, takes_us: f64, cost: u64) -> Self {
        Self {
            seat,
            product,
            submitted,
            was_leased: false,
            takes_us,
            cost,
            steps_done: 0,
            attempt: 0,
            started: 0,
            unit_ns: 0,
            charged: 0,
            attempt_us: 0,
        }
    }

    pub(super) fn start(&mut self, now: u64, unit_ns: u64, charged: u64, attempt_us: u64) {
        self.attempt += 1;
        (self.started, self.unit_ns, self.charged, self.attempt_us) = (now, unit_ns, charged, attempt_us);
    }

    /// The attempt ends so long after its beginning, as far as anybody knows. `steps` = of the whole task, if it can
    /// be taken up again.
    pub(super) fn lose(&mut self, reported_us: u64, steps: u32) {
        let made = reported_us as f64 / self.attempt_us as f64;
        self.steps_done += (f64::from(steps - self.steps_done.min(steps)) * made) as u32;
        self.attempt_us = reported_us;
        self.attempt += 1;
    }
}

/// Tasks by number; the numbers of those that are gone are given anew.
#[derive(Debug, Default)]
pub(super) struct Tasks {
    places: Vec<Task>,
    vacant: Vec<usize>,
}

impl Tasks {
    pub(super) fn insert(&mut self, mut task: Task) -> usize {
        match self.vacant.pop() {
            Some(index) => {
                // what is still to happen to the task that was here before must not happen to this one
                task.attempt = self.places[index].attempt + 1;
                self.places[index] = task;
                index
            }
            None => {
                self.places.push(task);
                self.places.len() - 1
            }
        }
    }

    pub(super) fn remove(&mut self, index: usize) {
        self.vacant.push(index);
    }
}

impl Index<usize> for Tasks {
    type Output = Task;

    fn index(&self, index: usize) -> &Task {
        &self.places[index]
    }
}

impl IndexMut<usize> for Tasks {
    fn index_mut(&mut self, index: usize) -> &mut Task {
        &mut self.places[index]
    }
}
