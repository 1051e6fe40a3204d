//! `likeness-worker`: serves a fleet's coordinators with one device until it is told to stop.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use likeness_shared::telemetry;
use likeness_worker::crew::{Crew, CrewError};
use likeness_worker::device::kernel_cache;
use likeness_worker::engine::ActivationCheckpointing;
use likeness_worker::{ConfigError, Devices, Worker, WorkerConfig, WorkerError};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Tensors of megabytes come and go with every layer. The system's allocator gives each back to the kernel, which
/// clears the pages anew for the next one; this one keeps them.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Learns people from photos and draws pictures of them, for a Likeness coordinator.
///
/// The worker loads its models, dials a coordinator and takes as many tasks as it has slots. SIGTERM or Ctrl-C
/// hands running tasks back with their state and ends it.
///
/// Where several devices are named, a worker process is started for each, and anew where one dies; signals go on to all of them.
///
/// Exit codes: 0 stopped as asked, 1 the device or a model failed, 2 bad configuration.
#[derive(Debug, Parser)]
#[command(name = "likeness-worker", version, verbatim_doc_comment)]
struct Arguments {
    /// Configuration file (TOML); flags override it.
    #[arg(long, value_name = "FILE", env = "LIKENESS_WORKER_CONFIG")]
    config: Option<PathBuf>,
    /// Address of a coordinator, such as http://127.0.0.1:7878. May be repeated (or separated by commas) where the
    /// fleet has several: any of them will do.
    #[arg(long = "coordinator", value_name = "URL", env = "LIKENESS_COORDINATOR", value_delimiter = ',')]
    coordinators: Vec<String>,
    /// A model: its name, and its folder in the layout of the diffusers library or owner/name@revision of a model hub. May be
    /// repeated.
    #[arg(long = "model", value_name = "NAME=DIR|OWNER/NAME", value_parser = parse_model)]
    models: Vec<(String, String)>,
    /// Folder for models of a hub; default: where the hub's own programs keep theirs (HF_HUB_CACHE, HF_HOME).
    #[arg(long, value_name = "DIR", env = "LIKENESS_MODEL_CACHE")]
    model_cache: Option<PathBuf>,
    /// Dial no hub: models have to be here already.
    #[arg(long)]
    offline: bool,
    /// The model of tasks that name none.
    #[arg(long, value_name = "NAME")]
    default_model: Option<String>,
    /// This worker's name in the fleet; default: host name and random letters.
    #[arg(long, value_name = "ID", overrides_with = "worker_id")]
    worker_id: Option<String>,
    /// Most tasks that may be live at once (default 8); the engine takes fewer where they fill its passes.
    #[arg(long, value_name = "N")]
    slots: Option<u32>,
    /// Where to compute: auto (every NVIDIA card, else the CPU), cpu, cuda:0, cuda:all, or several separated by commas, each of which
    /// gets a worker process of its own. "simulated" waits instead, for load tests: its results mean nothing.
    #[arg(long, value_name = "DEVICES", overrides_with = "device")]
    device: Option<Devices>,
    /// Folder for compiled and tuned kernels of cards; empty = keep none. Default: likeness/kernels in the user's folder for caches.
    #[arg(long, value_name = "DIR", env = kernel_cache::FOLDER_VARIABLE, value_parser = parse_folder)]
    kernel_cache: Option<PathBuf>,
    /// Stop as soon as this process is not the parent any more.
    #[arg(long, value_name = "PID", hide = true)]
    parent: Option<u32>,
    /// Whether training works the UNet's activations out twice, for a fraction of the memory and half as much time again: auto
    /// (where the device has not the memory for a single row otherwise), always or never.
    #[arg(long, value_name = "WHEN")]
    activation_checkpointing: Option<ActivationCheckpointing>,
    /// What a step takes on the simulated device, such as 2ms; 0s = as fast as possible.
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    simulated_step_time: Option<Duration>,
    /// Let a task make the simulated device misbehave by words such as "fault:panic" in its prompt.
    #[arg(long)]
    simulated_faults: bool,
    /// What to log, such as info or likeness_worker=debug.
    #[arg(long, value_name = "FILTER")]
    log: Option<String>,
}

/// How often a process that is one of several looks whether the one that started it is still there.
const PARENT_INTERVAL: Duration = Duration::from_millis(500);

fn parse_model(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, source)) if !name.is_empty() && !source.is_empty() => {
            Ok((name.to_owned(), source.to_owned()))
        }
        _ => Err("write it as NAME=DIR or NAME=owner/name, such as pocket=models/pocket".to_owned()),
    }
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|error| format!("write it as 2ms or 1s ({error})"))
}

/// Also an empty one, which means none.
#[expect(clippy::unnecessary_wraps, reason = "the signature of a parser")]
fn parse_folder(text: &str) -> Result<PathBuf, std::convert::Infallible> {
    Ok(text.into())
}

impl Arguments {
    fn into_config(self) -> Result<WorkerConfig, ConfigError> {
        let mut config = match &self.config {
            Some(path) => WorkerConfig::read(path)?,
            None => WorkerConfig::default(),
        };
        config.models.extend(self.models.iter().map(|(name, source)| (name.clone(), source.as_str().into())));
        config.model_cache = self.model_cache.or(config.model_cache);
        config.offline |= self.offline;
        if !self.coordinators.is_empty() {
            config.coordinators = self.coordinators;
        }
        config.default_model = self.default_model.unwrap_or(config.default_model);
        config.worker_id = self.worker_id.unwrap_or(config.worker_id);
        config.slots = self.slots.unwrap_or(config.slots);
        config.device = self.device.unwrap_or(config.device);
        config.kernel_cache = self.kernel_cache.or(config.kernel_cache);
        config.activation_checkpointing =
            self.activation_checkpointing.unwrap_or(config.activation_checkpointing);
        config.simulated.step_time = self.simulated_step_time.unwrap_or(config.simulated.step_time);
        config.simulated.obey_faults |= self.simulated_faults;
        config.log.filter = self.log.unwrap_or(config.log.filter);
        config.validate()?;
        Ok(config)
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let parent = arguments.parent;
    let config = match arguments.into_config() {
        Ok(config) => config,
        Err(error) => return complain(2, &error),
    };
    if let Err(error) = telemetry::init(&config.log) {
        return complain(2, &error);
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return complain(1, &error),
    };
    let devices = match config.device.resolved() {
        Ok(devices) => devices,
        Err(error) => return complain(2, &error),
    };
    match devices.as_slice() {
        [device] => {
            let config = WorkerConfig { device: Devices::One(*device), ..config };
            match runtime.block_on(until_told(parent, |shutdown| Worker::run(config, shutdown))) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error @ WorkerError::Config(_)) => complain(2, &error),
                Err(error) => complain(1, &error),
            }
        }
        several => {
            let arguments = std::env::args_os().skip(1).collect();
            let crew = Crew::new(several, &config.worker_id, arguments, config.drain_grace);
            match runtime.block_on(until_told(parent, |shutdown| crew.run(shutdown))) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error @ CrewError::Configuration) => complain(2, &error),
                Err(error) => complain(1, &error),
            }
        }
    }
}

/// Does `work` until it ends, or tells it to end: at SIGTERM, at Ctrl-C, and where the parent is another one than at first.
async fn until_told<F, E>(parent: Option<u32>, work: impl FnOnce(CancellationToken) -> F) -> Result<(), E>
where
    F: Future<Output = Result<(), E>>,
    E: From<std::io::Error>,
{
    let shutdown = CancellationToken::new();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let working = work(shutdown.clone());
    tokio::pin!(working);
    tokio::select! {
        result = &mut working => return result,
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        () = orphaned(parent) => tracing::warn!("whoever started this worker has died, it stops"),
    }
    shutdown.cancel();
    working.await
}

/// Resolves when this process has another parent; never where none is named.
async fn orphaned(parent: Option<u32>) {
    let Some(parent) = parent else { return std::future::pending().await };
    while std::os::unix::process::parent_id() == parent {
        tokio::time::sleep(PARENT_INTERVAL).await;
    }
}

#[expect(
    clippy::print_stderr,
    reason = "the last word of a failing program, also where logging could not be set up"
)]
fn complain(code: u8, error: &dyn std::error::Error) -> ExitCode {
    eprintln!("likeness-worker: {error}");
    ExitCode::from(code)
}
