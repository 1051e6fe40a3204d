//! The worker as one thing to run: configuration in, a drained exit out.

use std::sync::Arc;

use likeness_faces::bank::{Bank, NetworksUsed};
use likeness_faces::check::{CheckLimits, PhotoChecker};
use likeness_faces::config::{FacesConfig, FacesError};
use tokio_util::sync::CancellationToken;

use crate::config::{ConfigError, WorkerConfig};
use crate::device::{DeviceChoice, DeviceEvent, DeviceHandle, ModelFolders, kernel_cache};
use crate::error::WorkerError;
use crate::models;
use crate::session::Session;
use crate::simulated::SimulatedDevice;

/// A worker.
#[derive(Debug)]
pub struct Worker;

impl Worker {
    /// Fetches models that are not here, loads all of them, dials a coordinator and serves it until `shutdown`; then hands its tasks
    /// back and returns within the configured grace. A coordinator that is away is waited for. It computes on one device.
    pub async fn run(config: WorkerConfig, shutdown: CancellationToken) -> Result<(), WorkerError> {
        config.validate()?;
        let Some(config) = models::bring_here(config, &shutdown).await? else { return Ok(()) };
        let mut device = start_device(&config)?;
        let first = tokio::select! {
            event = device.events.recv() => event,
            () = shutdown.cancelled() => None,
        };
        match first {
            Some(DeviceEvent::Ready(models)) => Session::new(config, device, &models).run(shutdown).await,
            Some(DeviceEvent::Dead(reason)) => Err(WorkerError::Device(reason)),
            Some(DeviceEvent::Lost { reason, .. }) => Err(WorkerError::Device(reason)),
            Some(DeviceEvent::Engine(_)) => {
                Err(WorkerError::Internal("an event before any order".to_owned()))
            }
            None if shutdown.is_cancelled() => Ok(()),
            None => Err(WorkerError::Device("its thread is gone".to_owned())),
        }
    }
}

fn start_device(config: &WorkerConfig) -> Result<DeviceHandle, WorkerError> {
    let device = config.device.single().map_err(ConfigError::from)?;
    if device == DeviceChoice::Simulated {
        let simulated = SimulatedDevice::new(config.simulated.clone());
        return Ok(DeviceHandle::start(simulated, config.engine_options())?);
    }
    kernel_cache::prepare(device, config.kernel_folder().as_deref())
        .map_err(|error| WorkerError::Device(error.to_string()))?;
    let folders = ModelFolders {
        device,
        models: config.models_default_first(),
        digests: config.digests(),
        checkpointing: config.activation_checkpointing,
        photo_checker: photo_checker(&config.faces)?,
        bank: bank(&config.faces)?,
        evaluation: config.faces.can_score_pictures().then(|| config.faces.clone()),
    };
    Ok(DeviceHandle::start(folders, config.engine_options())?)
}

/// Who judges photos; nobody where a network for it is not configured. Portraits get their size from each task's model.
fn photo_checker(faces: &FacesConfig) -> Result<Option<PhotoChecker>, ConfigError> {
    if !faces.can_check_photos() {
        tracing::info!(
            "photos are not searched for faces: faces.detector and faces.recogniser are not configured"
        );
        return Ok(None);
    }
    let checker = faces.photo_checker(CheckLimits::default().portrait_side)?;
    tracing::info!("photos are searched for faces, and those that cannot be learned from are dropped");
    Ok(Some(checker))
}

/// Names to start people from; none where no bank is configured. A bank is of use only with the networks that it was built with.
fn bank(faces: &FacesConfig) -> Result<Option<Arc<Bank>>, ConfigError> {
    let Some(path) = &faces.bank else { return Ok(None) };
    let bank = Bank::read(path).map_err(FacesError::from)?;
    bank.check_networks(&NetworksUsed::of(&faces.reader()?)).map_err(FacesError::from)?;
    Ok(Some(Arc::new(bank)))
}
