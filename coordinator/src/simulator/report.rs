//! What a simulation found, for people and for programs. It holds nothing that differs from run to run.

use std::fmt::{self, Display, Formatter};

use likeness_shared::proto::TaskKind;
use serde::Serialize;

use super::fairness::Measured;
use super::histogram::Histogram;
use super::life::Life;

/// Parts of the users that are told apart.
const DECILES: usize = 10;

/// Waits until the first lease, while they are counted.
#[derive(Debug)]
pub(super) struct Waits {
    users: usize,
    all: Histogram,
    generations: Histogram,
    inversions: Histogram,
    deciles: Vec<Histogram>,
}

impl Waits {
    pub(super) fn new(users: usize) -> Self {
        Self {
            users,
            all: Histogram::default(),
            generations: Histogram::default(),
            inversions: Histogram::default(),
            deciles: vec![Histogram::default(); DECILES],
        }
    }

    pub(super) fn add(&mut self, kind: TaskKind, user: usize, wait_us: u64) {
        self.all.add(wait_us);
        match kind {
            TaskKind::Inversion => self.inversions.add(wait_us),
            TaskKind::Generation | TaskKind::Unspecified => self.generations.add(wait_us),
        }
        self.deciles[user * DECILES / self.users].add(wait_us);
    }

    pub(super) fn all(&self) -> Wait {
        Wait::of(&self.all)
    }

    /// Of the users in this tenth; 0 = those who ask most.
    pub(super) fn decile(&self, decile: usize) -> Wait {
        Wait::of(&self.deciles[decile])
    }
}

/// How long tasks waited, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Wait {
    /// Tasks counted: those that were given to a worker.
    pub tasks: u64,
    /// Half of them waited no longer.
    pub p50: f64,
    /// Nine of ten waited no longer.
    pub p90: f64,
    /// 99 of a hundred waited no longer.
    pub p99: f64,
    /// None waited longer.
    pub most: f64,
}

impl Wait {
    fn of(histogram: &Histogram) -> Self {
        let seconds = |value: u64| value as f64 / 1e6;
        let quantile = |share| seconds(histogram.quantile(share));
        Self {
            tasks: histogram.seen(),
            p50: quantile(0.5),
            p90: quantile(0.9),
            p99: quantile(0.99),
            most: seconds(histogram.most()),
        }
    }
}

/// A day (or some hours) of a fleet.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DayReport {
    /// Tasks that came.
    pub submitted: u64,
    /// Of these, refused because the user had as many waiting as he may.
    pub refused: u64,
    /// Tasks that have their result.
    pub succeeded: u64,
    /// The same, a second.
    pub succeeded_a_second: f64,
    /// Attempts that were lost with their workers.
    pub lost_attempts: u64,
    /// Tasks that waited at the busiest moment.
    pub most_waiting: u64,
    /// Tasks that waited at the end.
    pub waiting_at_the_end: u64,
    /// Share of the time in which workers were up that they were busy.
    pub utilisation: f64,
    /// How far charges at the lease lay from the truth, as a share of it, on average.
    pub misjudged: f64,
    /// Waits of all tasks.
    pub waits: Wait,
    /// Waits of tasks that draw.
    pub generations: Wait,
    /// Waits of tasks that learn.
    pub inversions: Wait,
    /// Waits by tenths of the users; those who ask most come first.
    pub deciles: Vec<Wait>,
    /// How fair it was.
    pub fairness: Measured,
}

impl DayReport {
    pub(super) fn of(life: &Life) -> Self {
        let (counts, waits) = (&life.counts, &life.waits);
        Self {
            submitted: counts.submitted,
            refused: counts.refused,
            succeeded: counts.succeeded,
            succeeded_a_second: counts.succeeded as f64 / (life.now.max(1) as f64 / 1e6),
            lost_attempts: counts.lost_attempts,
            most_waiting: counts.most_waiting,
            waiting_at_the_end: life.shares.waiting(),
            utilisation: life.fleet.utilisation(life.now),
            misjudged: counts.misjudged / counts.started.max(1) as f64,
            waits: waits.all(),
            generations: Wait::of(&waits.generations),
            inversions: Wait::of(&waits.inversions),
            deciles: (0..DECILES).map(|decile| waits.decile(decile)).collect(),
            fairness: life.shares.measured(),
        }
    }
}

/// One user with thousands of tasks among others with one each.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FloodReport {
    /// The longest that one task takes, in seconds: the promise for a wait among others.
    pub task_seconds: f64,
    /// Waits of the others while nobody floods.
    pub alone: Wait,
    /// Waits of the others while one user floods.
    pub flooded: Wait,
    /// An hour in which the others always have something waiting, too.
    pub fairness: Measured,
    /// Share of the time in which workers were busy in that hour.
    pub utilisation: f64,
}

/// What a simulation found.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Report {
    /// Of [`super::Scenario::Day`].
    Day(DayReport),
    /// Of [`super::Scenario::Flood`].
    Flood(FloodReport),
}

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Day(report) => report.fmt(f),
            Self::Flood(report) => report.fmt(f),
        }
    }
}

fn heading(f: &mut Formatter<'_>) -> fmt::Result {
    writeln!(f, "{:<22}{:>11}{:>11}{:>11}{:>11}{:>11}", "waits (s)", "tasks", "p50", "p90", "p99", "max")
}

fn row(f: &mut Formatter<'_>, name: &str, wait: &Wait) -> fmt::Result {
    let Wait { tasks, p50, p90, p99, most } = wait;
    writeln!(f, "{name:<22}{tasks:>11}{p50:>11.3}{p90:>11.3}{p99:>11.3}{most:>11.3}")
}

fn fairness(f: &mut Formatter<'_>, measured: &Measured) -> fmt::Result {
    let Measured { gap, gap_with_corrections, jain, jain_least, compared } = measured;
    writeln!(f, "gap between users      {gap:.3} charges (with corrections {gap_with_corrections:.3})")?;
    writeln!(f, "Jain's index           {jain:.5}, least {jain_least:.5} ({compared} shares compared)")
}

impl Display for DayReport {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        heading(f)?;
        row(f, "all", &self.waits)?;
        row(f, "generations", &self.generations)?;
        row(f, "inversions", &self.inversions)?;
        for (index, wait) in self.deciles.iter().enumerate() {
            let (from, to) = (index * 100 / DECILES, (index + 1) * 100 / DECILES);
            row(f, &format!("users {from:>2} to {to:>3} %"), wait)?;
        }
        writeln!(f, "\ntasks                  {} submitted, {} refused", self.submitted, self.refused)?;
        writeln!(f, "succeeded              {} ({:.1}/s)", self.succeeded, self.succeeded_a_second)?;
        writeln!(f, "attempts lost          {}", self.lost_attempts)?;
        let (most, end) = (self.most_waiting, self.waiting_at_the_end);
        writeln!(f, "waiting                {most} at most, {end} at the end")?;
        writeln!(f, "utilisation            {:.1} %", self.utilisation * 100.0)?;
        writeln!(f, "charges misjudged by   {:.1} %", self.misjudged * 100.0)?;
        fairness(f, &self.fairness)
    }
}

impl Display for FloodReport {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        heading(f)?;
        row(f, "the others, alone", &self.alone)?;
        row(f, "the others, flooded", &self.flooded)?;
        writeln!(f, "\none task takes         {:.3} s", self.task_seconds)?;
        writeln!(f, "an hour in which all of them always have something waiting:")?;
        writeln!(f, "utilisation            {:.1} %", self.utilisation * 100.0)?;
        fairness(f, &self.fairness)
    }
}
