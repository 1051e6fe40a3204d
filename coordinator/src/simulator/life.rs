//! One life of a fleet: events in the order of virtual time, and what each one changes.

use super::agenda::Agenda;
use super::catalogue::Catalogue;
use super::dice::Dice;
use super::fleet::{Doing, Fleet};
use super::population::{Arrival, Population, Source};
use super::report::Waits;
use super::shares::{Seat, Shares};
use super::task::{Task, Tasks};
use crate::store::fair::units_left;

/// Between beats of a worker, in microseconds.
const BEAT_US: u64 = 2_000_000;
/// After the last beat of a worker that is gone, its lease ends.
const LEASE_US: u64 = 10_000_000;
/// A worker is gone so often, on average.
const FAILS_EVERY_US: f64 = 86_400e6;
/// Until it is back, on average.
const DOWN_US: f64 = 300e6;
/// Between windows in which users are compared.
const WINDOW_US: u64 = 600_000_000;
/// Between sweeps of idle users.
const SWEEP_US: u64 = 60_000_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Arrives(Arrival),
    /// A worker reports on an attempt: task, attempt.
    Beats(usize, u32),
    /// An attempt has its result: worker, task, attempt.
    Succeeds(usize, usize, u32),
    /// The lease of an attempt ends, for its worker is gone.
    Expires(usize),
    Fails(usize),
    Returns(usize),
    Window,
    Sweep,
}

/// What was counted.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) submitted: u64,
    pub(super) refused: u64,
    pub(super) started: u64,
    pub(super) succeeded: u64,
    pub(super) lost_attempts: u64,
    /// Sum over succeeded tasks of how far the first price lay from the truth, as a share of that.
    pub(super) misjudged: f64,
    pub(super) most_waiting: u64,
}

/// A fleet, its users, and what is to happen.
#[derive(Debug)]
pub(super) struct Life {
    agenda: Agenda<Event>,
    catalogue: Catalogue,
    pub(super) shares: Shares,
    pub(super) fleet: Fleet,
    source: Source,
    arrivals: Dice,
    costs: Dice,
    failures: Dice,
    tasks: Tasks,
    waiting: u64,
    /// Users from this one on submit a task anew whenever one is given to a worker.
    steady_from: usize,
    /// Users of whom waits are counted, from this one on.
    counted_from: usize,
    pub(super) waits: Waits,
    pub(super) counts: Counts,
    pub(super) now: u64,
}

impl Life {
    pub(super) fn new(
        catalogue: Catalogue,
        population: Population,
        fleet: Fleet,
        source: Source,
        seed: u64,
    ) -> Self {
        let users = population.users();
        Self {
            agenda: Agenda::new(),
            shares: Shares::new(population, &catalogue),
            catalogue,
            fleet,
            source,
            arrivals: Dice::new(seed, 1),
            costs: Dice::new(seed, 2),
            failures: Dice::new(seed, 3),
            tasks: Tasks::default(),
            waiting: 0,
            steady_from: users,
            counted_from: 0,
            waits: Waits::new(users),
            counts: Counts::default(),
            now: 0,
        }
    }

    /// Workers fail now and then.
    pub(super) fn with_failures(mut self) -> Self {
        for worker in 0..self.fleet.size() {
            let at = self.failures.exponential(1.0 / FAILS_EVERY_US) as u64;
            self.agenda.enter(at, Event::Fails(worker));
        }
        self
    }

    /// Users from this one on always have something waiting.
    pub(super) fn with_steady_users(mut self, from: usize) -> Self {
        self.steady_from = from;
        self
    }

    /// Waits are counted of users from this one on.
    pub(super) fn counting_waits_from(mut self, user: usize) -> Self {
        self.counted_from = user;
        self
    }

    /// Lives until that time.
    pub(super) fn run(&mut self, until: u64) {
        self.agenda.enter(WINDOW_US, Event::Window);
        self.agenda.enter(SWEEP_US, Event::Sweep);
        self.next_arrival();
        while let Some((at, event)) = self.agenda.next(until) {
            self.now = at;
            self.shares.at(at);
            self.happen(event);
            self.assign();
        }
        self.now = until;
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Arrives(arrival) => {
                self.submit(arrival);
                self.next_arrival();
            }
            Event::Beats(task, attempt) => self.beat(task, attempt),
            Event::Succeeds(worker, task, attempt) => self.succeed(worker, task, attempt),
            Event::Expires(task) => self.expire(task),
            Event::Fails(worker) => self.fail(worker),
            Event::Returns(worker) => {
                self.fleet.change(worker, Doing::Nothing, self.now);
                let next = self.now + self.failures.exponential(1.0 / FAILS_EVERY_US) as u64;
                self.agenda.enter(next, Event::Fails(worker));
            }
            Event::Window => {
                self.shares.next_window();
                self.agenda.enter(self.now + WINDOW_US, Event::Window);
            }
            Event::Sweep => {
                self.shares.forget_idle();
                self.agenda.enter(self.now + SWEEP_US, Event::Sweep);
            }
        }
    }

    fn next_arrival(&mut self) {
        if let Some((at, arrival)) = self.source.next(self.now, &mut self.arrivals) {
            self.agenda.enter(at, Event::Arrives(arrival));
        }
    }

    fn submit(&mut self, Arrival { user, product }: Arrival) {
        self.counts.submitted += 1;
        let seat = Seat { user, lane: self.catalogue.lane_of(product) };
        let kind = &self.catalogue.products[product];
        let units = units_left(&kind.spec, 0);
        // drawn even for a task that is refused, so that a refusal changes nothing for others
        let takes_us = units as f64 * kind.unit_ns / 1000.0 * self.costs.log_normal(kind.spread);
        if self.shares.quota_used_up(seat) {
            self.counts.refused += 1;
            return;
        }
        let cost = self.catalogue.believed(product, None).of(units);
        let index = self.tasks.insert(Task::new(seat, product, self.now, takes_us, cost));
        self.shares.submit(seat, index, cost);
        self.waiting += 1;
        self.counts.most_waiting = self.counts.most_waiting.max(self.waiting);
    }

    /// Gives every free worker what is next for it.
    fn assign(&mut self) {
        for device in 0..self.fleet.devices.len() {
            while self.waiting > 0
                && let Some(worker) = self.fleet.free(device)
                && let Some((seat, task)) =
                    self.shares.next(&self.fleet.devices[device].models, &self.catalogue)
            {
                self.lease(worker, seat, task);
            }
        }
    }

    fn lease(&mut self, worker: usize, seat: Seat, index: usize) {
        let device = self.fleet.device_of(worker);
        let speed = self.fleet.devices[device].speed;
        let task = &mut self.tasks[index];
        let product = &self.catalogue.products[task.product];
        let price = self.catalogue.believed(task.product, Some(device));
        let charge = price.of(units_left(&product.spec, task.steps_done));
        let left = 1.0 - f64::from(task.steps_done) / f64::from(product.steps.max(1));
        task.start(self.now, price.mean_ns, charge, (task.takes_us * left / speed).max(1.0) as u64);
        if !task.was_leased {
            task.was_leased = true;
            self.counts.started += 1;
            if seat.user >= self.counted_from {
                self.waits.add(product.spec.kind(), seat.user, self.now - task.submitted);
            }
            self.counts.misjudged += (charge as f64 / task.attempt_us as f64 - 1.0).abs();
        }
        let (cost, product, attempt) = (task.cost, task.product, task.attempt);
        self.agenda.enter(self.now + task.attempt_us, Event::Succeeds(worker, index, attempt));
        // beats matter here from the first one on that reports more time than was charged
        let overdue = charge / BEAT_US * BEAT_US + BEAT_US;
        if overdue < task.attempt_us {
            self.agenda.enter(self.now + overdue, Event::Beats(index, attempt));
        }
        if seat.user >= self.steady_from {
            // before he is served, so that there is no moment in which nothing of his waits
            self.submit(Arrival { user: seat.user, product });
        }
        self.shares.lease(seat, cost, charge);
        self.waiting -= 1;
        self.fleet.change(worker, Doing::Task(index), self.now);
    }

    fn beat(&mut self, index: usize, attempt: u32) {
        let task = &mut self.tasks[index];
        if task.attempt != attempt {
            return;
        }
        let took = self.now - task.started;
        if took > task.charged {
            self.shares.true_up(task.seat, task.charged, took);
            task.charged = took;
        }
        if took + BEAT_US < task.attempt_us {
            self.agenda.enter(self.now + BEAT_US, Event::Beats(index, attempt));
        }
    }

    fn succeed(&mut self, worker: usize, index: usize, attempt: u32) {
        let task = &self.tasks[index];
        if task.attempt != attempt {
            return;
        }
        self.shares.end(task.seat, task.charged, task.attempt_us);
        let units = units_left(&self.catalogue.products[task.product].spec, task.steps_done);
        self.catalogue.learn(task.product, self.fleet.device_of(worker), units, task.attempt_us);
        self.counts.succeeded += 1;
        self.fleet.change(worker, Doing::Nothing, self.now);
        self.tasks.remove(index);
    }

    /// A worker is gone; what it did shows when the lease ends.
    fn fail(&mut self, worker: usize) {
        if let Doing::Task(index) = self.fleet.doing(worker) {
            let task = &mut self.tasks[index];
            let last_beat = (self.now - task.started) / BEAT_US * BEAT_US;
            task.lose(last_beat, self.catalogue.products[task.product].steps);
            self.agenda.enter(task.started + last_beat + LEASE_US, Event::Expires(index));
        }
        self.fleet.change(worker, Doing::Down, self.now);
        let back = self.now + self.failures.exponential(1.0 / DOWN_US) as u64;
        self.agenda.enter(back, Event::Returns(worker));
    }

    fn expire(&mut self, index: usize) {
        let task = &mut self.tasks[index];
        let product = &self.catalogue.products[task.product];
        task.cost = task.unit_ns.saturating_mul(units_left(&product.spec, task.steps_done)) / 1000;
        self.shares.requeue(task.seat, index, task.cost, task.charged, task.attempt_us);
        self.waiting += 1;
        self.counts.lost_attempts += 1;
    }
}
