//! Holds every index of a store against the records that it follows from, and rebuilds what differs.
//!
//! The record of a task, a person or a worker is the only truth of it. What follows from the records are the queue, the
//! lists by time, by worker and by state, the counts of each user and tenant, and who has a place in the tree of shares.
//! The virtual times and floors of the tree are truth of their own: they are kept, but whoever stands in the order below
//! the floor is lifted to it.
//!
//! Pure: a [`Snapshot`](super::invariants::Snapshot) in, [`Difference`]s out. How rows are read, and written only if
//! what they rest on is still as it was, is each store's own.

mod compare;
mod rows;
mod standings;
#[cfg(test)]
mod tests;

pub(super) use compare::{Shares, differences};
pub(super) use rows::{Difference, Is, Row};

/// Sentences in one report, at most.
const MOST_SENTENCES: usize = 1000;

/// What a scrub found. In a sound store it never finds anything.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scrubbed {
    /// A sentence for each difference, but never more than a thousand.
    pub differences: Vec<String>,
    /// How many differences there were.
    pub found: u64,
    /// There were differences, and all of them were repaired.
    pub repaired: bool,
    /// Tasks whose rows were compared.
    pub tasks: u64,
    /// The shares were compared too. They count every task of a user, so they can be compared only while none of the
    /// user's tasks begins to wait or to run; where that never stops, the rest is compared without them.
    pub shares_compared: bool,
}

impl Scrubbed {
    /// What one look at a store found, with nothing repaired yet.
    pub(super) fn of(differences: &[Difference], tasks: usize, shares_compared: bool) -> Self {
        let count = |count| u64::try_from(count).unwrap_or(u64::MAX);
        Self {
            differences: differences.iter().take(MOST_SENTENCES).map(ToString::to_string).collect(),
            found: count(differences.len()),
            repaired: false,
            tasks: count(tasks),
            shares_compared,
        }
    }
}
