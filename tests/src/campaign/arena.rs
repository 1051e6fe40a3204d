//! The fleet that a campaign is about: one Redis, two coordinators, four workers, and a proxy on every way between
//! them that a fault can break.

use std::thread::sleep;
use std::time::Duration;

use nix::sys::signal::Signal;
use tempfile::TempDir;

use super::faults::{Fault, Victim, Way};
use crate::fleet::{Coordinator, SHORT_TIMES, Setting, start_simulated};
use crate::proxy::Proxy;
use crate::redis::Redis;
use crate::service::Service;

/// Coordinators of the fleet.
pub(super) const COORDINATORS: usize = 2;
/// Workers of the fleet.
pub(super) const WORKERS: usize = 4;
/// What a step takes.
const STEP: &str = "2ms";
/// For a process that was told to stop.
const STOP: Duration = Duration::from_secs(40);

/// The whole fleet. Nothing is broken between two faults.
#[derive(Debug)]
pub(super) struct Arena {
    redis: Redis,
    coordinators: Vec<CoordinatorPlace>,
    workers: Vec<WorkerPlace>,
    _data: TempDir,
}

#[derive(Debug)]
struct CoordinatorPlace {
    running: Option<Coordinator>,
    address: String,
    setting: Setting,
    to_store: Proxy,
}

#[derive(Debug)]
struct WorkerPlace {
    running: Option<Service>,
    name: String,
    ways: Vec<Proxy>,
}

impl CoordinatorPlace {
    fn start(redis: &Redis, data: &TempDir) -> Self {
        let to_store = Proxy::start(&redis.address());
        let store = Some(format!("redis://{}/0", to_store.address()));
        let setting =
            Setting { times: SHORT_TIMES, store, data: data.path().to_owned(), sections: String::new() };
        let coordinator = Coordinator::start_as(&setting);
        Self { address: coordinator.address.clone(), running: Some(coordinator), setting, to_store }
    }
}

impl WorkerPlace {
    fn start(number: usize, coordinators: &[CoordinatorPlace]) -> Self {
        let ways = coordinators.iter().map(|coordinator| Proxy::start(&coordinator.address)).collect();
        let mut place = Self { running: None, name: format!("worker-{number}"), ways };
        place.restart();
        place
    }

    fn restart(&mut self) {
        let ways: Vec<String> = self.ways.iter().map(Proxy::address).collect();
        self.running = Some(start_simulated(&self.name, &ways.join(","), STEP, &["--slots", "2"]));
    }
}

impl Arena {
    /// Starts everything.
    pub(super) fn start() -> Self {
        let (redis, data) = (Redis::start(), tempfile::tempdir().expect("a folder"));
        let coordinators: Vec<_> =
            (0..COORDINATORS).map(|_| CoordinatorPlace::start(&redis, &data)).collect();
        let workers = (0..WORKERS).map(|number| WorkerPlace::start(number, &coordinators)).collect();
        Self { redis, coordinators, workers, _data: data }
    }

    /// The coordinators' own addresses, separated by commas.
    pub(super) fn servers(&self) -> String {
        let addresses: Vec<&str> = self.coordinators.iter().map(|place| place.address.as_str()).collect();
        addresses.join(",")
    }

    /// The store, past every proxy.
    pub(super) fn store_url(&self) -> String {
        self.redis.url()
    }

    /// Lets a fault happen, and returns when it is over and whoever was ended has been started again.
    pub(super) fn inflict(&mut self, fault: Fault) {
        match fault {
            Fault::Kill(victim, time) => {
                self.end(victim, Signal::SIGKILL);
                sleep(time);
                self.restart(victim);
            }
            Fault::Terminate(victim, time) => {
                self.end(victim, Signal::SIGTERM);
                sleep(time);
                self.restart(victim);
            }
            Fault::Pause(victim, time) => {
                self.signal(victim, Signal::SIGSTOP);
                sleep(time);
                self.signal(victim, Signal::SIGCONT);
            }
            Fault::Cut(way) => self.on(way, Proxy::cut),
            Fault::BlackHole(way, time) => {
                self.on(way, Proxy::black_hole);
                sleep(time);
                self.on(way, Proxy::heal);
            }
        }
    }

    /// Tells everyone to stop, workers first.
    ///
    /// # Panics
    /// Where one does not, or not well.
    pub(super) fn stop(&mut self) {
        let workers = self.workers.iter_mut().filter_map(|place| place.running.take());
        let coordinators = self.coordinators.iter_mut().filter_map(|place| place.running.take());
        for mut service in workers.chain(coordinators.map(|coordinator| coordinator.service)) {
            service.signal(Signal::SIGTERM);
            let status = service.exit(STOP);
            assert!(status.success(), "{status}: {:#?}", service.lines());
        }
    }

    fn on(&self, way: Way, act: impl Fn(&Proxy)) {
        match way {
            Way::OfWorker(number) => self.workers[number].ways.iter().for_each(act),
            Way::ToStore(number) => act(&self.coordinators[number].to_store),
        }
    }

    fn service(&self, victim: Victim) -> Option<&Service> {
        match victim {
            Victim::Worker(number) => self.workers[number].running.as_ref(),
            Victim::Coordinator(number) => {
                self.coordinators[number].running.as_ref().map(|coordinator| &coordinator.service)
            }
            Victim::Redis => None,
        }
    }

    fn signal(&self, victim: Victim, signal: Signal) {
        match (self.service(victim), signal) {
            (Some(service), signal) => service.signal(signal),
            (None, Signal::SIGSTOP) => self.redis.pause(),
            (None, _) => self.redis.resume(),
        }
    }

    fn end(&mut self, victim: Victim, signal: Signal) {
        let running = match victim {
            Victim::Worker(number) => self.workers[number].running.take(),
            Victim::Coordinator(number) => {
                self.coordinators[number].running.take().map(|coordinator| coordinator.service)
            }
            Victim::Redis => {
                self.redis.kill();
                None
            }
        };
        if let Some(mut service) = running {
            service.signal(signal);
            let status = service.exit(STOP);
            let as_asked = signal == Signal::SIGKILL || status.success();
            assert!(as_asked, "{victim:?} ended with {status}: {:#?}", service.lines());
        }
    }

    fn restart(&mut self, victim: Victim) {
        match victim {
            Victim::Worker(number) => self.workers[number].restart(),
            Victim::Coordinator(number) => {
                let place = &mut self.coordinators[number];
                place.running = Some(Coordinator::start_at(&place.address, &place.setting));
            }
            Victim::Redis => self.redis.restart(),
        }
    }
}
