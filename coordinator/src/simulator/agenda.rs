//! What is to happen, by virtual time. Events of one moment happen in the order in which they were entered.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Events in order. Time is in microseconds from the beginning.
#[derive(Debug)]
pub(super) struct Agenda<E> {
    heap: BinaryHeap<Reverse<(u64, u64, E)>>,
    entered: u64,
}

impl<E: Ord> Agenda<E> {
    pub(super) fn new() -> Self {
        Self { heap: BinaryHeap::new(), entered: 0 }
    }

    pub(super) fn enter(&mut self, at: u64, event: E) {
        self.entered += 1;
        self.heap.push(Reverse((at, self.entered, event)));
    }

    /// The next event, unless it lies after `until`.
    pub(super) fn next(&mut self, until: u64) -> Option<(u64, E)> {
        if self.heap.peek().is_none_or(|Reverse((at, ..))| *at > until) {
            return None;
        }
        self.heap.pop().map(|Reverse((at, _, event))| (at, event))
    }
}
