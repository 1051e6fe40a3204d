//! What can happen to a fleet, drawn by lot.

use std::time::Duration;

use rand::RngExt;
use rand::rngs::StdRng;

use super::arena::{COORDINATORS, WORKERS};

/// To whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Victim {
    /// A worker's process.
    Worker(usize),
    /// A coordinator's process.
    Coordinator(usize),
    /// The Redis server.
    Redis,
}

/// Which way is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// From a worker to all coordinators.
    OfWorker(usize),
    /// From a coordinator to Redis.
    ToStore(usize),
}

/// What happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// SIGKILL, and a new process after a while.
    Kill(Victim, Duration),
    /// SIGTERM, and a new process after a while.
    Terminate(Victim, Duration),
    /// SIGSTOP, and SIGCONT after a while.
    Pause(Victim, Duration),
    /// Every connection is reset.
    Cut(Way),
    /// Nothing passes for a while.
    BlackHole(Way, Duration),
}

impl Fault {
    /// The next one.
    pub(super) fn draw(lots: &mut StdRng) -> Self {
        let worker = lots.random_range(0..WORKERS);
        let coordinator = lots.random_range(0..COORDINATORS);
        let victim = match lots.random_range(0..10) {
            0..5 => Victim::Worker(worker),
            5..8 => Victim::Coordinator(coordinator),
            _ => Victim::Redis,
        };
        let way = if lots.random_bool(0.6) { Way::OfWorker(worker) } else { Way::ToStore(coordinator) };
        // mostly shorter than a lease lives, sometimes longer
        let most = if lots.random_bool(0.1) { 4000 } else { 600 };
        let time = Duration::from_millis(lots.random_range(0..most));
        match (lots.random_range(0..10), victim) {
            (0..3, _) => Self::Kill(victim, time),
            // a server that is told to stop is a maintenance, and loses nothing that a kill would keep
            (3..5, Victim::Worker(_) | Victim::Coordinator(_)) => Self::Terminate(victim, time),
            (3..6, _) => Self::Pause(victim, time),
            (6..8, _) => Self::Cut(way),
            _ => Self::BlackHole(way, time),
        }
    }

    /// The kind, for tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Kill(Victim::Worker(_), _) => "worker killed",
            Self::Kill(Victim::Coordinator(_), _) => "coordinator killed",
            Self::Kill(Victim::Redis, _) => "redis killed",
            Self::Terminate(Victim::Worker(_), _) => "worker terminated",
            Self::Terminate(_, _) => "coordinator terminated",
            Self::Pause(Victim::Worker(_), _) => "worker paused",
            Self::Pause(Victim::Coordinator(_), _) => "coordinator paused",
            Self::Pause(Victim::Redis, _) => "redis paused",
            Self::Cut(Way::OfWorker(_)) => "worker's connections cut",
            Self::Cut(Way::ToStore(_)) => "coordinator's connections to redis cut",
            Self::BlackHole(Way::OfWorker(_), _) => "worker cut off in silence",
            Self::BlackHole(Way::ToStore(_), _) => "coordinator cut off from redis in silence",
        }
    }
}
