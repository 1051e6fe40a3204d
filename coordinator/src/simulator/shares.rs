//! The scheduler as the stores run it, over a ledger in memory: who waits, who is next, who is charged what.
//!
//! Nothing is decided here. Every change goes through `fair::apply` and every choice through `fair::next`, with the
//! same fields that a store derives from a task's record.

use std::collections::VecDeque;

use super::catalogue::Catalogue;
use super::fairness::{Fairness, Measured};
use super::population::Population;
use crate::store::fair::{Change, DEBTS_KEPT, MemoryLedger, Terms, apply, forget_idle, next};
use crate::store::record::StoreTime;

/// Idle nodes forgotten at a time.
const MOST_FORGOTTEN: usize = 10_000;

/// One user in one lane.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seat {
    pub(super) user: usize,
    pub(super) lane: usize,
}

/// The tree of shares, with each user's tasks in their order.
#[derive(Debug)]
pub(super) struct Shares {
    ledger: MemoryLedger,
    population: Population,
    /// For each user and lane: what waits.
    queues: Vec<VecDeque<usize>>,
    lanes: usize,
    in_flight: Vec<u64>,
    waiting: Vec<u64>,
    fairness: Fairness,
}

impl Shares {
    pub(super) fn new(population: Population, catalogue: &Catalogue) -> Self {
        let (users, lanes) = (population.users(), catalogue.lanes.len());
        let tenants = population.tenants.iter().max().map_or(0, |tenant| tenant + 1);
        Self {
            ledger: MemoryLedger::default(),
            population,
            queues: vec![VecDeque::new(); users * lanes],
            lanes,
            in_flight: vec![0; users],
            waiting: vec![0; users],
            fairness: Fairness::new(tenants * lanes),
        }
    }

    /// Tasks that wait, of everyone.
    pub(super) fn waiting(&self) -> u64 {
        self.waiting.iter().sum()
    }

    pub(super) fn at(&mut self, now: u64) {
        self.ledger.now = StoreTime(now);
    }

    /// Whether the user has as many tasks waiting as he may.
    pub(super) fn quota_used_up(&self, seat: Seat) -> bool {
        self.waiting[seat.user] >= self.population.standing(seat.user, seat.lane).1.user_queued
    }

    /// A new task waits behind the user's others.
    pub(super) fn submit(&mut self, seat: Seat, task: usize, cost: u64) {
        self.queue(seat).push_back(task);
        self.waiting[seat.user] += 1;
        self.change(seat, Change { come: Some(cost), ..Change::default() });
    }

    /// A lost task waits in front of the user's others; its charge is corrected to what it took.
    pub(super) fn requeue(&mut self, seat: Seat, task: usize, cost: u64, charged: u64, took: u64) {
        self.queue(seat).push_front(task);
        self.waiting[seat.user] += 1;
        self.in_flight[seat.user] -= 1;
        let charge = self.corrected(seat, charged, took);
        self.change(seat, Change { come: Some(cost), in_flight: -1, charge, ..Change::default() });
    }

    /// Whose turn it is at a worker with these models.
    pub(super) fn next(&self, models: &[String], catalogue: &Catalogue) -> Option<(Seat, usize)> {
        let Ok(place) = next(&self.ledger, models);
        let (user, lane) = self.population.find(&place?, catalogue)?;
        let task = self.queues[user * self.lanes + lane].front().copied()?;
        Some((Seat { user, lane }, task))
    }

    /// The user's first task is leased. `cost` is what it was expected to cost while it waited.
    pub(super) fn lease(&mut self, seat: Seat, cost: u64, charge: u64) {
        self.queue(seat).pop_front();
        self.waiting[seat.user] -= 1;
        self.in_flight[seat.user] += 1;
        let weighted = self.weighted(seat, signed(charge));
        self.fairness.grant(self.group(seat), seat.user, weighted);
        let charge = signed(charge);
        self.change(
            seat,
            Change { gone: Some(cost), in_flight: 1, charge, served: true, ..Change::default() },
        );
    }

    /// A running task takes longer than it was charged for.
    pub(super) fn true_up(&mut self, seat: Seat, charged: u64, took: u64) {
        let charge = self.corrected(seat, charged, took);
        self.change(seat, Change { charge, ..Change::default() });
    }

    /// A task has ended.
    pub(super) fn end(&mut self, seat: Seat, charged: u64, took: u64) {
        self.in_flight[seat.user] -= 1;
        let charge = self.corrected(seat, charged, took);
        self.change(seat, Change { in_flight: -1, charge, ..Change::default() });
    }

    /// Forgets users of whom nothing has waited for long, as a store's sweep does.
    pub(super) fn forget_idle(&mut self) {
        let before = self.ledger.now.minus(DEBTS_KEPT);
        let Ok(_) = forget_idle(&mut self.ledger, before, MOST_FORGOTTEN);
    }

    pub(super) fn next_window(&mut self) {
        self.fairness.next_window();
    }

    pub(super) fn measured(&self) -> Measured {
        self.fairness.measured()
    }

    fn queue(&mut self, seat: Seat) -> &mut VecDeque<usize> {
        &mut self.queues[seat.user * self.lanes + seat.lane]
    }

    fn group(&self, seat: Seat) -> usize {
        self.population.tenants[seat.user] * self.lanes + seat.lane
    }

    fn weighted(&self, seat: Seat, charge: i64) -> i64 {
        let weight = self.population.standing(seat.user, seat.lane).1.weights[0];
        charge * i64::from(Terms::USUAL_WEIGHT) / i64::from(weight)
    }

    fn corrected(&mut self, seat: Seat, charged: u64, took: u64) -> i64 {
        let more = signed(took) - signed(charged);
        let (before, weighted) = (self.weighted(seat, signed(charged)), self.weighted(seat, more));
        self.fairness.correct(self.group(seat), seat.user, before, weighted);
        more
    }

    fn change(&mut self, seat: Seat, change: Change) {
        let (place, terms) = self.population.standing(seat.user, seat.lane);
        let Ok(()) = apply(&mut self.ledger, place, terms, change);
        let eligible = self.in_flight[seat.user] < terms.user_in_flight;
        // a cap holds for all lanes of the user
        for lane in 0..self.lanes {
            let seat = Seat { lane, ..seat };
            let waits = eligible && !self.queues[seat.user * self.lanes + lane].is_empty();
            self.fairness.waits(self.group(seat), seat.user, waits);
        }
    }
}

fn signed(time_us: u64) -> i64 {
    i64::try_from(time_us).unwrap_or(i64::MAX)
}
