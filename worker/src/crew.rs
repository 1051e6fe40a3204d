//! Several devices: a worker process for each, so that a card that fails takes nobody with it and each has its own place in the fleet.
//!
//! A process that dies is started again, after a pause that grows while it dies soon. One that stops by itself as if told to stays
//! away. Whoever tells the crew to stop tells every process, and they have their grace. Processes notice the crew's death and stop.
//!
//! A card's process sees its card alone, as `cuda:0`: tuned kernels are kept under the card's number, and so they are shared.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use likeness_shared::backoff::Backoff;
use likeness_shared::ids::WorkerId;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::{Child, Command};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::device::DeviceChoice;
use crate::session::default_worker_id;

/// Pauses before a process is started again.
const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(60));
/// A process that has lived so long did not die soon.
const SETTLED: Duration = Duration::from_secs(60);
/// So many soon deaths in a row, and it is not started any more.
const MOST_SOON_DEATHS: u32 = 6;
/// What a process is given on top of twice its grace: once for its tasks, once for its device.
const AFTER_GRACE: Duration = Duration::from_secs(5);
/// How a process ends whose configuration is no good: it would be the same again.
const BAD_CONFIGURATION: i32 = 2;
/// Which cards a process sees, in CUDA's own words.
const VISIBLE: &str = "CUDA_VISIBLE_DEVICES";

/// Why a crew ended by itself.
#[derive(Debug, thiserror::Error)]
pub enum CrewError {
    /// The processes refuse what they are told.
    #[error("a worker process refuses its configuration: its own message says why")]
    Configuration,
    /// No process is left.
    #[error("every worker process has died too often: their own messages say why")]
    AllDead,
    /// The operating system refuses something.
    #[error("worker processes cannot be started: {0}")]
    System(#[from] std::io::Error),
}

/// Worker processes to be, one a device.
#[derive(Debug)]
pub struct Crew {
    members: Vec<Member>,
    arguments: Vec<OsString>,
    grace: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Member {
    worker_id: String,
    device: DeviceChoice,
    /// The card that it is to see alone.
    visible: Option<String>,
}

/// How it ended with one member.
enum End {
    /// As asked, or by itself as if asked.
    Stopped,
    BadConfiguration,
    Died,
}

impl Crew {
    /// One member for each of `devices`, started as this program with these arguments and its own `--device` and `--worker-id`: the
    /// given id, or the host's name and random letters, and the device's place.
    #[must_use]
    pub fn new(
        devices: &[DeviceChoice],
        worker_id: &str,
        arguments: Vec<OsString>,
        drain_grace: Duration,
    ) -> Self {
        let base = if worker_id.is_empty() { default_worker_id() } else { worker_id.to_owned() };
        let visible = env::var(VISIBLE).ok();
        let member = |(place, device): (usize, &DeviceChoice)| {
            Member::new(worker_id_of(&base, place), *device, visible.as_deref())
        };
        Self { members: devices.iter().enumerate().map(member).collect(), arguments, grace: drain_grace }
    }

    /// Runs them until `shutdown`, and then until they have ended.
    ///
    /// # Errors
    /// [`CrewError`] where they end otherwise. A member that has died too often does not end the others.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), CrewError> {
        let program = env::current_exe()?;
        tracing::info!(processes = self.members.len(), "one worker process is started for each device");
        // its own: a member's bad configuration stops the others, too
        let stop = shutdown.child_token();
        let mut tending = JoinSet::new();
        for member in self.members {
            let (program, arguments, stop) = (program.clone(), self.arguments.clone(), stop.clone());
            tending.spawn(member.tend(program, arguments, self.grace, stop));
        }
        let (mut refused, mut died, mut stopped) = (false, false, false);
        while let Some(end) = tending.join_next().await {
            match end.map_err(std::io::Error::other)? {
                End::Stopped => stopped = true,
                End::Died => died = true,
                End::BadConfiguration => {
                    refused = true;
                    stop.cancel();
                }
            }
        }
        match (refused, died && !stopped) {
            (true, _) => Err(CrewError::Configuration),
            (false, true) => Err(CrewError::AllDead),
            (false, false) => Ok(()),
        }
    }
}

impl Member {
    /// `visible` is what this process sees of the cards already.
    fn new(worker_id: String, device: DeviceChoice, visible: Option<&str>) -> Self {
        let DeviceChoice::Cuda(number) = device else { return Self { worker_id, device, visible: None } };
        let of_list = |list: &str| list.split(',').nth(number as usize).map(|card| card.trim().to_owned());
        let card = visible.and_then(of_list).unwrap_or_else(|| number.to_string());
        Self { worker_id, device: DeviceChoice::Cuda(0), visible: Some(card) }
    }

    /// Starts the process and looks after it until `stop`, or until there is no sense in it.
    async fn tend(
        self,
        program: PathBuf,
        arguments: Vec<OsString>,
        grace: Duration,
        stop: CancellationToken,
    ) -> End {
        let mut backoff = Backoff::new(PAUSES.0, PAUSES.1, &self.worker_id);
        let mut soon_deaths = 0;
        loop {
            let started = Instant::now();
            let ended = self.live(self.command(&program, &arguments), grace, &stop).await;
            if stop.is_cancelled() {
                return End::Stopped;
            }
            let how = match ended {
                Ok(status) if status.success() => {
                    tracing::info!(
                        worker = self.worker_id,
                        "worker process has stopped by itself, it stays away"
                    );
                    return End::Stopped;
                }
                Ok(status) if status.code() == Some(BAD_CONFIGURATION) => return End::BadConfiguration,
                Ok(status) => status.to_string(),
                Err(error) => error.to_string(),
            };
            if started.elapsed() >= SETTLED {
                soon_deaths = 0;
                backoff.reset();
            }
            soon_deaths += 1;
            if soon_deaths >= MOST_SOON_DEATHS {
                tracing::error!(
                    worker = self.worker_id,
                    how,
                    soon_deaths,
                    "worker process is not started any more"
                );
                return End::Died;
            }
            let pause = backoff.next_pause();
            tracing::warn!(worker = self.worker_id, how, ?pause, "worker process died, it is started again");
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = stop.cancelled() => return End::Stopped,
            }
        }
    }

    /// One life of the process; at `stop` it is asked to end.
    async fn live(
        &self,
        mut command: Command,
        grace: Duration,
        stop: &CancellationToken,
    ) -> std::io::Result<ExitStatus> {
        let mut child = command.spawn()?;
        tracing::info!(
            worker = self.worker_id,
            device = %self.device,
            card = self.visible,
            process = child.id(),
            "worker process started"
        );
        tokio::select! {
            status = child.wait() => return status,
            () = stop.cancelled() => {}
        }
        end(child, grace * 2 + AFTER_GRACE).await
    }

    fn command(&self, program: &Path, arguments: &[OsString]) -> Command {
        let mut command = Command::new(program);
        // of an option that is given twice, the last counts
        command
            .args(arguments)
            .args(["--device", &self.device.to_string(), "--worker-id", &self.worker_id])
            .args(["--parent", &std::process::id().to_string()])
            .kill_on_drop(true);
        if let Some(card) = &self.visible {
            command.env(VISIBLE, card);
        }
        command
    }
}

/// Asks a process to stop, and kills it where it has not within the time.
async fn end(mut child: Child, within: Duration) -> std::io::Result<ExitStatus> {
    if let Some(id) = child.id().and_then(|id| i32::try_from(id).ok())
        && let Err(error) = kill(Pid::from_raw(id), Signal::SIGTERM)
    {
        tracing::debug!(%error, process = id, "worker process has gone before it was asked to");
    }
    if let Ok(status) = tokio::time::timeout(within, child.wait()).await {
        return status;
    }
    tracing::warn!(process = child.id(), ?within, "worker process does not stop, it is killed");
    child.start_kill()?;
    child.wait().await
}

/// The base and the place, within what an id may be long.
fn worker_id_of(base: &str, place: usize) -> String {
    let id = format!("{base}-{place}");
    if id.parse::<WorkerId>().is_ok() { id } else { WorkerId::generate().to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cards(visible: Option<&str>) -> Vec<(String, DeviceChoice, Option<String>)> {
        let devices = [DeviceChoice::Cuda(0), DeviceChoice::Cuda(2), DeviceChoice::Simulated];
        devices
            .into_iter()
            .enumerate()
            .map(|(place, device)| {
                let Member { worker_id, device, visible } =
                    Member::new(worker_id_of("host", place), device, visible);
                (worker_id, device, visible)
            })
            .collect()
    }

    #[test]
    fn a_card_is_seen_alone_and_is_the_first_there() {
        let first = DeviceChoice::Cuda(0);
        let own = |card: &str| Some(card.to_owned());
        let expected = |a: &str, b: &str| {
            vec![
                ("host-0".to_owned(), first, own(a)),
                ("host-1".to_owned(), first, own(b)),
                ("host-2".to_owned(), DeviceChoice::Simulated, None),
            ]
        };
        assert_eq!(cards(None), expected("0", "2"));
        assert_eq!(cards(Some("4,5, GPU-7")), expected("4", "GPU-7"), "numbers count among what is visible");
    }

    #[test]
    fn ids_stay_ids() {
        assert_eq!(worker_id_of("gpu-host", 3), "gpu-host-3");
        assert!(worker_id_of(&"x".repeat(128), 3).parse::<WorkerId>().is_ok());
    }
}
