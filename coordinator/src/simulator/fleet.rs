//! The workers: of a few kinds, one task at a time, each of which fails now and then.

use std::collections::BTreeSet;

use super::catalogue::LARGE_MODEL;

/// A kind of worker.
#[derive(Debug)]
pub(super) struct Device {
    /// Work in the time that a device of speed 1 needs for one unit.
    pub(super) speed: f64,
    /// Models that it has.
    pub(super) models: Vec<String>,
    /// Workers that are free, in order.
    free: BTreeSet<usize>,
}

/// What a worker does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Doing {
    Nothing,
    /// This task.
    Task(usize),
    /// Its process is gone.
    Down,
}

#[derive(Debug)]
struct Worker {
    device: usize,
    doing: Doing,
    /// When it began to be down, or to be busy.
    since: u64,
}

/// All workers and what they were used for.
#[derive(Debug)]
pub(super) struct Fleet {
    pub(super) devices: Vec<Device>,
    workers: Vec<Worker>,
    /// Time for which workers were busy, in microseconds.
    busy_us: u64,
    /// Time for which workers were down, in microseconds.
    down_us: u64,
}

impl Fleet {
    /// Half of the workers of speed 1, the others faster, and only those have the large model.
    pub(super) fn mixed(workers: usize) -> Self {
        let all = || vec![String::new(), LARGE_MODEL.to_owned()];
        let devices = [(1.0, vec![String::new()]), (2.0, all()), (4.0, all())];
        let of_worker = |worker| match worker * 10 / workers.max(1) {
            0..5 => 0,
            5..8 => 1,
            _ => 2,
        };
        Self::of(devices.into(), (0..workers).map(of_worker))
    }

    /// Workers that are all the same.
    pub(super) fn uniform(workers: usize) -> Self {
        Self::of(vec![(1.0, vec![String::new()])], std::iter::repeat_n(0, workers))
    }

    fn of(devices: Vec<(f64, Vec<String>)>, of_workers: impl Iterator<Item = usize>) -> Self {
        let device = |(speed, models)| Device { speed, models, free: BTreeSet::new() };
        let mut devices: Vec<Device> = devices.into_iter().map(device).collect();
        let worker = |device| Worker { device, doing: Doing::Nothing, since: 0 };
        let workers: Vec<Worker> = of_workers.map(worker).collect();
        for (index, worker) in workers.iter().enumerate() {
            devices[worker.device].free.insert(index);
        }
        Self { devices, workers, busy_us: 0, down_us: 0 }
    }

    pub(super) fn size(&self) -> usize {
        self.workers.len()
    }

    /// Of all workers together.
    pub(super) fn speed(&self) -> f64 {
        self.workers.iter().map(|worker| self.devices[worker.device].speed).sum()
    }

    pub(super) fn device_of(&self, worker: usize) -> usize {
        self.workers[worker].device
    }

    pub(super) fn doing(&self, worker: usize) -> Doing {
        self.workers[worker].doing
    }

    /// A free worker of a kind.
    pub(super) fn free(&self, device: usize) -> Option<usize> {
        self.devices[device].free.first().copied()
    }

    /// From now on it does this.
    pub(super) fn change(&mut self, worker: usize, doing: Doing, now: u64) {
        let entry = &mut self.workers[worker];
        let passed = now - entry.since;
        match entry.doing {
            Doing::Nothing => drop(self.devices[entry.device].free.remove(&worker)),
            Doing::Task(_) => self.busy_us += passed,
            Doing::Down => self.down_us += passed,
        }
        (entry.doing, entry.since) = (doing, now);
        if doing == Doing::Nothing {
            self.devices[entry.device].free.insert(worker);
        }
    }

    /// Share of the time in which workers were up that they were busy.
    pub(super) fn utilisation(&self, now: u64) -> f64 {
        let (mut busy, mut down) = (self.busy_us, self.down_us);
        for worker in &self.workers {
            match worker.doing {
                Doing::Nothing => {}
                Doing::Task(_) => busy += now - worker.since,
                Doing::Down => down += now - worker.since,
            }
        }
        let up = (self.workers.len() as u64 * now).saturating_sub(down);
        if up == 0 { 0.0 } else { busy as f64 / up as f64 }
    }
}
