//! Measures what the scheduler promises, from the outside: what users were served, never their virtual times.
//!
//! Time is cut into windows. Whoever of a group (a tenant's users of one lane) waits from the beginning of a window on
//! and all the while is compared with every other such user at every charge, until nothing of his waits or a cap
//! keeps him back. So every pair is compared over every stretch that begins with a window.

use std::collections::{BTreeSet, HashMap};

/// Charges that users must have had on average for their shares to be compared as such.
const ENOUGH_CHARGES: f64 = 8.0;

/// What the members of a group were served for their weight since the window began.
#[derive(Debug, Default)]
struct Spread {
    served: HashMap<usize, i64>,
    order: BTreeSet<(i64, usize)>,
    /// The greatest difference seen in any window.
    widest: i64,
}

impl Spread {
    fn restart(&mut self, members: &BTreeSet<usize>) {
        self.served = members.iter().map(|user| (*user, 0)).collect();
        self.order = members.iter().map(|user| (0, *user)).collect();
    }

    fn leave(&mut self, user: usize) {
        if let Some(served) = self.served.remove(&user) {
            self.order.remove(&(served, user));
        }
    }

    fn serve(&mut self, user: usize, amount: i64) {
        let Some(served) = self.served.get_mut(&user) else { return };
        self.order.remove(&(*served, user));
        *served += amount;
        self.order.insert((*served, user));
        if let (Some((least, _)), Some((most, _))) = (self.order.first(), self.order.last()) {
            self.widest = self.widest.max(most - least);
        }
    }

    /// Jain's index of the members, with how many they are.
    fn equality(&self, usual_charge: f64) -> Option<(f64, usize)> {
        let members = self.order.len();
        let sum: f64 = self.order.iter().map(|(served, _)| *served as f64).sum();
        if members < 2 || sum < ENOUGH_CHARGES * usual_charge * members as f64 {
            return None;
        }
        let squares: f64 = self.order.iter().map(|(served, _)| (*served as f64).powi(2)).sum();
        Some((sum * sum / (members as f64 * squares), members))
    }
}

#[derive(Debug, Default)]
struct Group {
    backlogged: BTreeSet<usize>,
    /// What leases were charged when they were given.
    granted: Spread,
    /// The same, and what was charged or given back later.
    billed: Spread,
    largest: i64,
    sum: f64,
    charges: f64,
}

/// What was measured, over all groups and windows.
#[derive(Debug, Clone, Copy, PartialEq, Default, serde::Serialize)]
pub struct Measured {
    /// The greatest difference between two users in what they were given for their weight, in units of the
    /// largest charge: the promise is 2 at most.
    pub gap: f64,
    /// The same with later corrections of the estimates, which come when the task has long run.
    pub gap_with_corrections: f64,
    /// Jain's index of what users were charged in a window for their weight: the mean over users and windows. 1 =
    /// all alike; 0 = nobody waited long enough to be compared.
    pub jain: f64,
    /// The least of any window.
    pub jain_least: f64,
    /// Users compared, summed over windows.
    pub compared: usize,
}

/// Watches every group.
#[derive(Debug)]
pub(super) struct Fairness {
    groups: Vec<Group>,
    equality: Vec<(f64, usize)>,
}

impl Fairness {
    pub(super) fn new(groups: usize) -> Self {
        Self { groups: (0..groups).map(|_| Group::default()).collect(), equality: Vec::new() }
    }

    /// Whether something of the user waits and may be served.
    pub(super) fn waits(&mut self, group: usize, user: usize, waits: bool) {
        let group = &mut self.groups[group];
        if waits {
            group.backlogged.insert(user);
        } else if group.backlogged.remove(&user) {
            group.granted.leave(user);
            group.billed.leave(user);
        }
    }

    /// A lease is charged so much for the user's weight.
    pub(super) fn grant(&mut self, group: usize, user: usize, charge: i64) {
        let group = &mut self.groups[group];
        group.largest = group.largest.max(charge);
        group.sum += charge as f64;
        group.charges += 1.0;
        group.granted.serve(user, charge);
        group.billed.serve(user, charge);
    }

    /// A lease that was charged `charged` in all is charged `more` (or less).
    pub(super) fn correct(&mut self, group: usize, user: usize, charged: i64, more: i64) {
        let group = &mut self.groups[group];
        group.largest = group.largest.max(charged + more);
        group.billed.serve(user, more);
    }

    /// Ends the windows and begins new ones.
    pub(super) fn next_window(&mut self) {
        for group in &mut self.groups {
            let usual = group.sum / group.charges.max(1.0);
            self.equality.extend(group.granted.equality(usual));
            group.granted.restart(&group.backlogged);
            group.billed.restart(&group.backlogged);
        }
    }

    pub(super) fn measured(&self) -> Measured {
        let gap = |spread: fn(&Group) -> &Spread| {
            let gaps =
                self.groups.iter().map(|group| spread(group).widest as f64 / group.largest.max(1) as f64);
            gaps.fold(0.0, f64::max)
        };
        let compared: usize = self.equality.iter().map(|(_, users)| users).sum();
        let sum = self.equality.iter().fold(0.0, |sum, (jain, users)| sum + jain * *users as f64);
        let least = self.equality.iter().map(|(jain, _)| *jain).fold(1.0, f64::min);
        Measured {
            gap: gap(|group| &group.granted),
            gap_with_corrections: gap(|group| &group.billed),
            jain: sum / compared.max(1) as f64,
            jain_least: if compared == 0 { 0.0 } else { least },
            compared,
        }
    }
}
