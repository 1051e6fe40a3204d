//! The session: the one async loop between a coordinator and the engine.
//!
//! It owns everything that is held, and nothing else changes it: the link says what the coordinator wants, the
//! device what has become of tasks, errands (downloads, settlements) come back when they are done, and two clocks
//! beat. Rules that hold:
//! - a lease is taken once: a second one with the same or an older fence is refused;
//! - a lease that nobody has renewed for four fifths of its life gets no more device time, until it is renewed;
//! - an outcome is kept until a coordinator has given its verdict, however often the connection breaks;
//! - after a stop request nothing new begins, everything is handed back, and the loop ends within the grace.

mod attempts;
mod fetch;
mod held;
mod identity;
mod link;
mod pulse;
mod quality_upload;
mod route;
mod series;
mod settle;

use std::str::FromStr;
use std::time::{Duration, Instant};

use likeness_shared::artifacts::ArtifactError;
use likeness_shared::client::{ClientConfig, ClientError};
use likeness_shared::ids::{Fence, TaskId};
use likeness_shared::proto::coordinator_message::Message as FromCoordinator;
use likeness_shared::proto::worker_message::Message as FromWorker;
use likeness_shared::proto::{Beat, Credit, Preview, SettleVerdict, Welcome};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::config::WorkerConfig;
use crate::device::{DeviceEvent, DeviceHandle, ModelInventory, memory_used};
use crate::engine::{Attempt, Command, Ending, Event, Fault, Order};
use crate::error::WorkerError;
use held::Ledger;
use identity::{Identity, duration};
use link::{Link, LinkEvent};
use pulse::Pulse;
use route::{Announcer, Route};
use series::SeriesReporter;

pub(crate) use identity::default_worker_id;

/// Smallest step of the clock that looks after fences, silence and the end of the grace.
const WATCH: Duration = Duration::from_millis(50);

/// What an errand brings back.
enum Errand {
    Fetched(Attempt, Result<Box<Order>, Fault>),
    Settled(Attempt, Result<SettleVerdict, ClientError>),
    Shown(Attempt, Result<Preview, ArtifactError>),
    /// It was called off.
    Stopped,
}

/// The loop's state.
pub(crate) struct Session {
    config: WorkerConfig,
    identity: Identity,
    device: DeviceHandle,
    link: Link,
    announcer: Announcer,
    pulse: Pulse,
    ledger: Ledger,
    series: SeriesReporter,
    errands: JoinSet<Errand>,
    /// Tasks that the engine has room for.
    room: u32,
    told_credit: Option<u32>,
    draining_until: Option<Instant>,
}

impl Session {
    pub(crate) fn new(config: WorkerConfig, device: DeviceHandle, models: &[ModelInventory]) -> Self {
        let identity = Identity::new(&config, models);
        let coordinators = config.coordinators.iter().map(|address| ClientConfig {
            connect_timeout: config.connect_timeout,
            request_timeout: config.request_timeout,
            ..ClientConfig::new(address.clone())
        });
        let link = Link::new(coordinators.collect(), config.most_backoff, &identity.worker_id);
        let series = SeriesReporter::new(&config, &identity.worker_id, identity.device_memory());
        Self {
            config,
            identity,
            device,
            link,
            announcer: Announcer::new(),
            pulse: Pulse::new(Instant::now()),
            ledger: Ledger::default(),
            series,
            errands: JoinSet::new(),
            room: 1,
            told_credit: None,
            draining_until: None,
        }
    }

    /// Runs until `shutdown` and the drain after it.
    pub(crate) async fn run(mut self, shutdown: CancellationToken) -> Result<(), WorkerError> {
        let mut watch = interval(WATCH);
        watch.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut last_beat = Instant::now();
        let result = loop {
            tokio::select! {
                () = shutdown.cancelled(), if self.draining_until.is_none() => self.drain(),
                event = self.link.next() => self.on_link(event),
                event = self.device.events.recv() => {
                    if let Err(error) = self.on_device(event) {
                        break Err(error);
                    }
                }
                Some(errand) = self.errands.join_next() => {
                    if let Err(error) = self.on_errand(errand) {
                        break Err(error);
                    }
                }
                _ = watch.tick() => {
                    let now = Instant::now();
                    if now.duration_since(last_beat) >= self.pulse.beat_interval {
                        last_beat = now;
                        self.beat(now);
                    }
                    self.look_after_leases(now);
                }
            }
            self.tell_credit();
            if let Some(until) = self.draining_until {
                if self.ledger.is_empty() {
                    tracing::info!("drained");
                    break Ok(());
                }
                if Instant::now() >= until {
                    let left = self.ledger.attempts().len();
                    tracing::warn!(left, "grace is over, what is left goes back when its leases expire");
                    break Ok(());
                }
            }
        };
        self.errands.shutdown().await;
        if !self.device.stop(self.config.drain_grace).await {
            tracing::warn!("device did not end its current step within the grace");
        }
        result
    }

    fn on_link(&mut self, event: LinkEvent) {
        match event {
            LinkEvent::TimeToDial => self.link.dial(self.identity.hello(self.ledger.inventory())),
            LinkEvent::Failed(error) => tracing::warn!(%error, "coordinator cannot be reached, trying again"),
            LinkEvent::Down(reason) => {
                tracing::warn!(
                    reason,
                    held = self.ledger.attempts().len(),
                    "session ended, running tasks go on"
                );
            }
            LinkEvent::Up(welcome) => self.on_welcome(*welcome),
            LinkEvent::Message(message) => match *message {
                FromCoordinator::Welcome(_) => tracing::warn!("second welcome in one session is ignored"),
                FromCoordinator::Lease(lease) => self.on_lease(lease),
                FromCoordinator::BeatAck(ack) => {
                    let sent = self.pulse.acknowledged(ack.sequence, Instant::now());
                    self.abandon(&ack.verdicts);
                    sent.into_iter().for_each(|sent| self.ledger.renew(sent));
                }
                FromCoordinator::Cancel(cancel) => match parse_attempt(&cancel.task_id, cancel.fence) {
                    Some(attempt) => self.on_cancel(attempt, cancel.mode()),
                    None => {
                        tracing::warn!(task = cancel.task_id, "cancel of an unreadable task id is ignored")
                    }
                },
                FromCoordinator::GoAway(go_away) => {
                    tracing::info!(reason = go_away.reason, "coordinator asks to connect anew");
                    self.link.close();
                }
            },
        }
    }

    fn on_welcome(&mut self, welcome: Welcome) {
        let now = Instant::now();
        self.pulse.begin(now, duration(welcome.lease_ttl), duration(welcome.beat_interval));
        let Some(connection) = self.link.connection() else { return };
        let greeted = connection.greeted;
        let route = Route { client: connection.client.clone(), protocol: welcome.protocol };
        self.announcer.announce(route);
        tracing::info!(
            coordinator = connection.client.address(),
            worker = self.identity.worker_id,
            protocol = welcome.protocol,
            held = self.ledger.attempts().len(),
            "session open"
        );
        self.abandon(&welcome.verdicts);
        for verdict in &welcome.verdicts {
            let Some(attempt) = parse_attempt(&verdict.task_id, verdict.fence) else { continue };
            if let Some(held) = self.ledger.get_mut(attempt) {
                held.renewed = held.renewed.max(greeted);
            }
        }
        self.told_credit = None;
        self.ledger.resend_checkpoints();
        self.beat(now);
    }

    fn on_device(&mut self, event: Option<DeviceEvent>) -> Result<(), WorkerError> {
        match event {
            Some(DeviceEvent::Engine(Event::Progress { attempt, progress, checkpoint, device_time })) => {
                self.series.task(attempt.task, &progress, Instant::now());
                self.ledger.report(attempt, progress, checkpoint, device_time);
            }
            Some(DeviceEvent::Engine(Event::Previewed { attempt, preview })) => self.show(attempt, preview),
            Some(DeviceEvent::Engine(Event::Room { tasks })) => {
                tracing::debug!(tasks, "device has room");
                self.room = tasks;
            }
            Some(DeviceEvent::Engine(Event::Ended { attempt, ending, device_time })) => {
                self.settle(attempt, ending, device_time);
            }
            Some(DeviceEvent::Lost { attempts, reason }) => {
                for attempt in attempts {
                    let fault =
                        Fault::of_worker("device_lost", format!("the worker's device failed: {reason}"));
                    self.settle(attempt, Ending::Failed(fault), Duration::ZERO);
                }
            }
            Some(DeviceEvent::Ready(_)) => tracing::info!("device is ready again"),
            Some(DeviceEvent::Dead(reason)) => return Err(WorkerError::Device(reason)),
            None => return Err(WorkerError::Device("its thread is gone".to_owned())),
        }
        Ok(())
    }

    /// The engine's queue is far longer than what its few tasks can be told, so a full one means a stuck device.
    fn command(&mut self, command: Command) {
        if let Err(error) = self.device.commands.try_send(command) {
            tracing::error!(%error, "device does not take commands");
        }
    }

    fn beat(&mut self, now: Instant) {
        if self.link.connection().is_none() {
            return;
        }
        let free_slots = self.ledger.free_slots(self.slots());
        let memory_used = || memory_used(self.config.device.single().ok()?);
        self.series.worker(self.ledger.attempts().len(), free_slots, self.slots(), memory_used);
        let tasks = self.ledger.beats();
        let sequence = self.pulse.beat(now);
        self.link.send(FromWorker::Beat(Beat { sequence, tasks }));
    }

    fn look_after_leases(&mut self, now: Instant) {
        if self.link.connection().is_some() && self.pulse.is_lost(now) {
            tracing::warn!("coordinator is silent, the session is opened anew");
            self.link.close();
        }
        let (pause, resume) = self.ledger.fence(now, self.pulse.fence_limit());
        for attempt in pause {
            tracing::warn!(%attempt, "lease has not been renewed in time, the attempt is stopped");
            self.command(Command::Pause(attempt));
        }
        for attempt in resume {
            tracing::info!(%attempt, "lease is renewed, the attempt goes on");
            self.command(Command::Resume(attempt));
        }
    }

    /// Tasks that may be live: what the engine has room for, within what is configured.
    fn slots(&self) -> u32 {
        self.config.slots.min(self.room)
    }

    fn tell_credit(&mut self) {
        let free_slots = if self.draining_until.is_some() { 0 } else { self.ledger.free_slots(self.slots()) };
        if self.link.connection().is_some() && self.told_credit != Some(free_slots) {
            self.told_credit = Some(free_slots);
            self.link.send(FromWorker::Credit(Credit { free_slots }));
        }
    }
}

fn parse_attempt(task_id: &str, fence: u64) -> Option<Attempt> {
    TaskId::from_str(task_id).ok().map(|task| Attempt { task, fence: Fence(fence) })
}
