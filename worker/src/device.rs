//! The device's own thread, and the supervisor that builds it anew when it dies.
//!
//! One OS thread loads the models and runs the engine: memory pools and streams are per thread, and nothing
//! asynchronous ever waits for a kernel. burn panics on device faults, so the supervisor catches the thread's
//! death, reports the attempts that were on it as lost, and starts a fresh thread with freshly loaded models.
//! Three deaths within [`QUICK`] of one another end the worker: the device or a model is unusable. So does one that the driver will
//! not forget: whoever started the worker starts it again.

mod card;
mod choice;
#[cfg(feature = "cuda")]
mod cuda;
#[cfg(not(feature = "cuda"))]
#[path = "device/no_cuda.rs"]
mod cuda;
mod devices;
mod host;
pub mod kernel_cache;
mod listing;
mod room;
#[cfg(test)]
mod tests;
mod trouble;

use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use burn::tensor::Device;
use likeness_diffusion::model_folder::ModelFolder;
use likeness_diffusion::stable_diffusion::StableDiffusion;
use likeness_faces::bank::Bank;
use likeness_faces::check::PhotoChecker;
use likeness_faces::config::FacesConfig;
use tokio::sync::mpsc;

pub use choice::{DeviceChoice, DeviceError};
pub use devices::Devices;
pub use listing::{Listed, Listing};
pub use trouble::{CudaTrouble, LEAST_CAPABILITY};

pub use host::process_peak_bytes;
pub(crate) use host::{memory_bytes, process_bytes};

use crate::engine::{
    self, ActivationCheckpointing, Attempt, Command, EngineOptions, Event, LiveAttempts, LoadedModel,
    Machine, Studio,
};
use crate::panics::panic_message;
use crate::score::{Evaluate, Evaluator};

/// Deaths closer together than this are counted together.
pub const QUICK: Duration = Duration::from_secs(60);
/// So many quick deaths end the worker.
pub const MOST_QUICK_DEATHS: usize = 3;
/// What a driver's fault that outlives the thread is called: only another process can use the card again.
const POISONED: &str = "device is poisoned";
/// Commands that may wait for the engine.
const COMMAND_QUEUE: usize = 256;
/// Events that may wait for the session.
const EVENT_QUEUE: usize = 256;

/// What runs on the device thread: makes the machine anew for every life of the thread.
pub trait DeviceProgram: Send + Sync + 'static {
    /// What makes passes.
    type Machine: Machine;

    /// Loads what jobs are opened on.
    fn load(&self) -> Result<(Self::Machine, Vec<ModelInventory>), LoadError>;
}

/// Models that could not be loaded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// A device.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// The networks that score pictures of people.
    #[error("the networks that score pictures cannot be loaded: {0}")]
    Evaluator(String),
    /// A model.
    #[error("model {name:?} in {} cannot be loaded: {reason}", .folder.display())]
    Model {
        /// Its name.
        name: String,
        /// Its folder.
        folder: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

impl LoadError {
    fn model(name: &str, folder: &Path, error: &dyn fmt::Display) -> Self {
        Self::Model { name: name.to_owned(), folder: folder.to_owned(), reason: error.to_string() }
    }
}

/// A loaded model, as the coordinator hears of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelInventory {
    /// The name that tasks ask for.
    pub name: String,
    /// sha256 over its files.
    pub digest: String,
}

/// Loads Stable Diffusion models from folders, the default one first.
#[derive(Clone, Debug)]
pub struct ModelFolders {
    /// Where to compute.
    pub device: DeviceChoice,
    /// Name and folder of each model.
    pub models: Vec<(String, PathBuf)>,
    /// When training works activations out again.
    pub checkpointing: ActivationCheckpointing,
    /// The digests that models must have, by name.
    pub digests: BTreeMap<String, String>,
    /// Judges the photos of inversions; `None` = nobody does.
    pub photo_checker: Option<PhotoChecker>,
    /// Names to start people from; `None` = there is no bank of names.
    pub bank: Option<Arc<Bank>>,
    /// The networks that score pictures of learned people; `None` = nobody does.
    pub evaluation: Option<FacesConfig>,
}

impl DeviceProgram for ModelFolders {
    type Machine = Studio;

    fn load(&self) -> Result<(Studio, Vec<ModelInventory>), LoadError> {
        let (device, dtype) = self.device.open()?;
        let card = match self.device.settled() {
            DeviceChoice::Cuda(number) => Some(number),
            _ => None,
        };
        if let Some(number) = card {
            // what an earlier life of this thread has left
            device.memory_cleanup();
            room::check(number, &self.models)?;
        }
        let mut models = Vec::with_capacity(self.models.len());
        for (name, folder) in &self.models {
            let failed = |error: &dyn fmt::Display| LoadError::model(name, folder, error);
            let started = Instant::now();
            let opened = ModelFolder::open(folder).map_err(|error| failed(&error))?;
            let digest = opened.digest().map_err(|error| failed(&error))?;
            if let Some(pinned) =
                self.digests.get(name).filter(|pinned| !pinned.eq_ignore_ascii_case(&digest))
            {
                return Err(failed(&format_args!(
                    "its digest is {digest}, and {pinned} is the one that it must have; fetch the pinned revision, or change the \
                     configured digest where the new files are wanted"
                )));
            }
            let diffusion = StableDiffusion::load(&opened, &device, dtype).map_err(|error| failed(&error))?;
            let seconds = started.elapsed().as_secs_f64();
            tracing::info!(model = %name, digest = %digest, seconds, "model loaded");
            models.push(LoadedModel { name: name.clone(), digest, folder: folder.clone(), diffusion });
        }
        let inventory = models
            .iter()
            .map(|model| ModelInventory { name: model.name.clone(), digest: model.digest.clone() })
            .collect();
        if let Some(bank) = &self.bank
            && !models.iter().any(|model| bank.check_model(&model.digest).is_ok())
        {
            tracing::warn!(
                "faces.bank was built with none of these models: the start \"id\" will be refused; build it again"
            );
        }
        let studio = Studio::new(models)
            .with_checkpointing(self.checkpointing)
            .with_photo_checker(self.photo_checker.clone())
            .with_bank(self.bank.clone())
            .with_evaluator(self.evaluator(&device)?);
        Ok((if let Some(number) = card { studio.on_card(number) } else { studio }, inventory))
    }
}

impl ModelFolders {
    fn evaluator(&self, device: &Device) -> Result<Option<Box<dyn Evaluate>>, LoadError> {
        let Some(faces) = &self.evaluation else { return Ok(None) };
        let started = Instant::now();
        let evaluator =
            Evaluator::open(faces, device).map_err(|error| LoadError::Evaluator(error.to_string()))?;
        let (networks, seconds) = (evaluator.networks(), started.elapsed().as_secs_f64());
        let clip = networks.clip.is_some();
        tracing::info!(
            clip,
            judged_by_chooser = networks.judged_by_chooser,
            seconds,
            "pictures of people can be scored"
        );
        Ok(Some(Box::new(evaluator)))
    }
}

/// Free and total bytes of a card, where the driver tells.
pub(crate) fn card_memory(number: u32) -> Option<(u64, u64)> {
    cuda::facts(number).ok().map(|card| (card.free, card.memory))
}

/// Bytes of the device's memory that are in use: of a card's by anybody, of the machine's by this process.
pub(crate) fn memory_used(device: DeviceChoice) -> Option<u64> {
    match device.settled() {
        DeviceChoice::Cuda(number) => card_memory(number).map(|(free, all)| all.saturating_sub(free)),
        _ => process_bytes(),
    }
}

/// What the device thread says.
#[derive(Debug)]
pub enum DeviceEvent {
    /// The models are loaded; the engine takes orders. Again after each [`DeviceEvent::Lost`].
    Ready(Vec<ModelInventory>),
    /// From the engine.
    Engine(Event),
    /// The thread died; these attempts died with it. It is being built anew.
    Lost {
        /// What was on the device.
        attempts: Vec<Attempt>,
        /// The panic's message.
        reason: String,
    },
    /// There will be no device: loading failed, or the thread died too often.
    Dead(String),
}

impl From<Event> for DeviceEvent {
    fn from(event: Event) -> Self {
        Self::Engine(event)
    }
}

/// The session's end of the device.
pub struct DeviceHandle {
    /// To the engine. Dropping it ends the thread after the current turn.
    pub commands: mpsc::Sender<Command>,
    /// From the engine and its supervisor.
    pub events: mpsc::Receiver<DeviceEvent>,
    supervisor: thread::JoinHandle<()>,
}

impl DeviceHandle {
    /// Starts supervisor and device thread.
    pub fn start<P: DeviceProgram>(program: P, options: EngineOptions) -> std::io::Result<Self> {
        let (commands, command_queue) = mpsc::channel(COMMAND_QUEUE);
        let (event_queue, events) = mpsc::channel(EVENT_QUEUE);
        let supervisor = thread::Builder::new().name("likeness-supervisor".to_owned()).spawn(move || {
            supervise(Arc::new(program), command_queue, event_queue, options);
        })?;
        Ok(Self { commands, events, supervisor })
    }

    /// Ends the thread: waits for the current piece of work, at most `within`. False if it has not ended by then.
    pub async fn stop(self, within: Duration) -> bool {
        let Self { commands, mut events, supervisor } = self;
        drop(commands);
        // Whoever blocks on a full queue of events must get through to see that the commands are closed.
        let drained = async { while events.recv().await.is_some() {} };
        let ended = tokio::time::timeout(within, drained).await.is_ok();
        ended && supervisor.is_finished() || {
            let joined = tokio::task::spawn_blocking(move || supervisor.join().is_ok());
            ended && matches!(tokio::time::timeout(within, joined).await, Ok(Ok(true)))
        }
    }
}

/// How one life of the device thread ended.
enum Life {
    /// Nobody needs it any more.
    Over,
    Unloadable(LoadError),
    Panicked(String),
}

fn supervise<P: DeviceProgram>(
    program: Arc<P>,
    mut commands: mpsc::Receiver<Command>,
    events: mpsc::Sender<DeviceEvent>,
    options: EngineOptions,
) {
    let mut deaths: Vec<Instant> = Vec::new();
    loop {
        let live = Arc::new(LiveAttempts::default());
        let (its_program, its_events, its_live) = (Arc::clone(&program), events.clone(), Arc::clone(&live));
        let spawned = thread::Builder::new().name("likeness-device".to_owned()).spawn(move || {
            let life = catch_unwind(AssertUnwindSafe(|| {
                live_once(its_program.as_ref(), &mut commands, &its_events, &its_live, options)
            }));
            (commands, life.unwrap_or_else(|panic| Life::Panicked(panic_message(panic.as_ref()))))
        });
        let ended = match spawned {
            Ok(thread) => thread.join(),
            Err(error) => {
                return report_death(&events, format!("the device thread cannot be started: {error}"));
            }
        };
        let reason = match ended {
            Ok((_, Life::Over)) => return,
            Ok((_, Life::Unloadable(error))) => return report_death(&events, error.to_string()),
            Ok((queue, Life::Panicked(reason))) => {
                commands = queue;
                reason
            }
            Err(_) => return report_death(&events, "the device thread died outside its guard".to_owned()),
        };
        tracing::error!(reason, "device thread died, it is built anew");
        let now = Instant::now();
        deaths.retain(|death| now.duration_since(*death) < QUICK);
        deaths.push(now);
        let lost = DeviceEvent::Lost { attempts: live.take(), reason: reason.clone() };
        if events.blocking_send(lost).is_err() {
            return;
        }
        if reason.to_lowercase().contains(POISONED) {
            let reason = format!("only a fresh process can use it again: {reason}");
            return report_death(&events, reason);
        }
        if deaths.len() >= MOST_QUICK_DEATHS {
            let seconds = QUICK.as_secs();
            let reason = format!(
                "the device thread died {MOST_QUICK_DEATHS} times within {seconds} s, last of: {reason}"
            );
            return report_death(&events, reason);
        }
    }
}

fn report_death(events: &mpsc::Sender<DeviceEvent>, reason: String) {
    if events.blocking_send(DeviceEvent::Dead(reason)).is_err() {
        tracing::debug!("nobody listens to the device any more");
    }
}

/// Loads and runs the engine until it is not needed any more.
fn live_once<P: DeviceProgram>(
    program: &P,
    commands: &mut mpsc::Receiver<Command>,
    events: &mpsc::Sender<DeviceEvent>,
    live: &LiveAttempts,
    options: EngineOptions,
) -> Life {
    let (machine, inventory) = match program.load() {
        Ok(loaded) => loaded,
        Err(error) => return Life::Unloadable(error),
    };
    if events.blocking_send(DeviceEvent::Ready(inventory)).is_ok() {
        engine::run(&machine, commands, events, live, options);
    }
    Life::Over
}
