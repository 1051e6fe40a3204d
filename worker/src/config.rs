//! The worker's configuration: one file, every option with a default, checked before anything is dialled.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use likeness_faces::config::{FacesConfig, FacesError};
use likeness_hub::{ModelSource, SourceError};
use likeness_shared::client::{ClientConfig, ClientError};
use likeness_shared::ids::WorkerId;
use likeness_shared::redis_address::RedisAddress;
use likeness_shared::telemetry::LogConfig;
use serde::{Deserialize, Serialize};

use crate::device::{DeviceError, Devices, kernel_cache};
use crate::engine::{ActivationCheckpointing, EngineOptions};
use crate::simulated::{SimulatedConfig, SimulatedConfigError};

/// Everything that a worker can be told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WorkerConfig {
    /// Where the fleet's coordinators are, such as `http://127.0.0.1:7878`. One is enough; the others are dialled
    /// where it cannot be reached.
    pub coordinators: Vec<String>,
    /// This worker's name in the fleet; empty = host name and random letters.
    pub worker_id: String,
    /// The models to load, by name: a folder in the layout of the diffusers library, "owner/name@revision" of a model hub, or a table
    /// with `source`, `revision`, `digest` (the one that the model must have) and `variant` ("full" or "fp16").
    pub models: BTreeMap<String, ModelSource>,
    /// Folder for models of a hub; nothing = where the hub's own programs keep theirs (`HF_HUB_CACHE`, `HF_HOME`).
    pub model_cache: Option<PathBuf>,
    /// Dial no hub: models have to be here. `HF_HUB_OFFLINE=1` does the same.
    pub offline: bool,
    /// The model of tasks that name none; empty = the only one, or the first by name.
    pub default_model: String,
    /// Tasks that may be live at once, 1..=64, at most: the engine takes fewer where they would fill its passes.
    pub slots: u32,
    /// "auto", "cpu", "cuda:0", "cuda:all", or several separated by commas, each of which gets a worker process of its own; "auto" is
    /// every NVIDIA card that there is, else the CPU. "simulated" computes nothing and is for load tests alone.
    pub device: Devices,
    /// Folder for compiled and tuned kernels of cards, which the next start takes from there; empty = keep none, nothing =
    /// `likeness/kernels` in the user's folder for caches.
    pub kernel_cache: Option<PathBuf>,
    /// For the connection to stand.
    #[serde(with = "humantime_serde")]
    pub connect_timeout: Duration,
    /// For the answer to one call.
    #[serde(with = "humantime_serde")]
    pub request_timeout: Duration,
    /// Longest pause between attempts to reach the coordinator.
    #[serde(with = "humantime_serde")]
    pub most_backoff: Duration,
    /// For downloading all of a task's photos or people.
    #[serde(with = "humantime_serde")]
    pub fetch_timeout: Duration,
    /// From the request to stop until the worker ends whatever is still open.
    #[serde(with = "humantime_serde")]
    pub drain_grace: Duration,
    /// How often the engine reports progress and checkpoints to the session.
    #[serde(with = "humantime_serde")]
    pub report_interval: Duration,
    /// What generations get of the device's time where inversions want it too, more than 0 and less than 1.
    pub drawing_share: f64,
    /// A pass through the model is not filled beyond this, so that cancels and generations never wait longer.
    #[serde(with = "humantime_serde")]
    pub longest_pass: Duration,
    /// "auto", "always" or "never": whether training works the UNet's activations out twice, for a fraction of the memory and half as
    /// much time again. "auto" begins with it where the device has not the memory for a single row otherwise.
    pub activation_checkpointing: ActivationCheckpointing,
    /// Where to write series (loss, speed, load): the address of the fleet's Redis, as its coordinators have it, with a
    /// user who may write there. Nothing = coordinators know only what beats report.
    pub metrics: Option<RedisAddress>,
    /// Name of the fleet, in front of the series' keys: the coordinators' `redis.fleet`.
    pub fleet: String,
    /// Networks that find and know faces.
    pub faces: FacesConfig,
    /// The simulated device.
    pub simulated: SimulatedConfig,
    /// Logs.
    pub log: LogConfig,
}

impl Default for WorkerConfig {
    fn default() -> Self {
        let engine = EngineOptions::default();
        Self {
            coordinators: vec!["http://127.0.0.1:7878".to_owned()],
            worker_id: String::new(),
            models: BTreeMap::new(),
            model_cache: None,
            offline: false,
            default_model: String::new(),
            slots: 8,
            device: Devices::default(),
            kernel_cache: None,
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(10),
            most_backoff: Duration::from_secs(5),
            fetch_timeout: Duration::from_secs(120),
            drain_grace: Duration::from_secs(20),
            report_interval: engine.report_interval,
            drawing_share: engine.drawing_share,
            longest_pass: engine.longest_pass,
            activation_checkpointing: ActivationCheckpointing::default(),
            metrics: None,
            fleet: "default".to_owned(),
            faces: FacesConfig::default(),
            simulated: SimulatedConfig::default(),
            log: LogConfig::default(),
        }
    }
}

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read or parsed.
    #[error("configuration {path} cannot be used: {reason}")]
    File {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Nobody to work for.
    #[error("no coordinator is configured: add its address to coordinators, or give --coordinator URL")]
    NoCoordinators,
    /// No address of one.
    #[error("coordinators: {0}")]
    Coordinator(#[source] ClientError),
    /// Nothing to compute with.
    #[error("no model is configured: add one to [models] or give --model NAME=DIR or NAME=owner/name")]
    NoModels,
    /// A model's source.
    #[error("models.{name}: {source}")]
    Model {
        /// The model.
        name: String,
        /// What is wrong.
        source: SourceError,
    },
    /// The default names no model.
    #[error("default_model is {name:?}, but the models are {known}")]
    DefaultModel {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// A number out of its range.
    #[error("{name} is {value}: give {rule}")]
    Value {
        /// Which option.
        name: &'static str,
        /// What was given.
        value: String,
        /// What it may be.
        rule: &'static str,
    },
    /// The device.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// The networks for faces.
    #[error(transparent)]
    Faces(#[from] FacesError),
    /// The simulated device.
    #[error(transparent)]
    Simulated(#[from] SimulatedConfigError),
}

impl WorkerConfig {
    /// Reads a TOML file; options that it does not name keep their defaults.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let failed = |reason: String| ConfigError::File { path: path.to_owned(), reason };
        let mut read: Self = config::Config::builder()
            .add_source(config::File::from(path).format(config::FileFormat::Toml))
            .build()
            .and_then(config::Config::try_deserialize)
            .map_err(|error| failed(error.to_string()))?;
        read.faces = read.faces.relative_to(path.parent().unwrap_or(Path::new("")));
        Ok(read)
    }

    /// Refuses what cannot work, naming the option.
    pub fn validate(&self) -> Result<(), ConfigError> {
        if self.coordinators.is_empty() {
            return Err(ConfigError::NoCoordinators);
        }
        for address in &self.coordinators {
            ClientConfig::new(address.as_str()).addresses().map_err(ConfigError::Coordinator)?;
        }
        let simulated = self.device.are_simulated();
        if simulated && !self.models.is_empty() {
            return Err(DeviceError::NoModels.into());
        }
        if !simulated && self.models.is_empty() {
            return Err(ConfigError::NoModels);
        }
        for (name, source) in &self.models {
            source.validate().map_err(|source| ConfigError::Model { name: name.clone(), source })?;
        }
        if !self.default_model.is_empty() && !self.models.contains_key(&self.default_model) {
            let known = self.models.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
            return Err(ConfigError::DefaultModel { name: self.default_model.clone(), known });
        }
        if !(1..=64).contains(&self.slots) {
            return Err(ConfigError::Value { name: "slots", value: self.slots.to_string(), rule: "1 to 64" });
        }
        if !self.worker_id.is_empty() && self.worker_id.parse::<WorkerId>().is_err() {
            let rule = "1 to 128 visible ASCII characters, or leave it empty";
            return Err(ConfigError::Value { name: "worker_id", value: self.worker_id.clone(), rule });
        }
        for (name, value) in [
            ("connect_timeout", self.connect_timeout),
            ("request_timeout", self.request_timeout),
            ("most_backoff", self.most_backoff),
            ("fetch_timeout", self.fetch_timeout),
            ("drain_grace", self.drain_grace),
            ("report_interval", self.report_interval),
            ("longest_pass", self.longest_pass),
        ] {
            if value < Duration::from_millis(1) || value > Duration::from_secs(24 * 3600) {
                return Err(ConfigError::Value { name, value: format!("{value:?}"), rule: "1ms to 24h" });
            }
        }
        if !(self.drawing_share > 0.0 && self.drawing_share < 1.0) {
            let (value, rule) = (self.drawing_share.to_string(), "more than 0 and less than 1, such as 0.75");
            return Err(ConfigError::Value { name: "drawing_share", value, rule });
        }
        self.faces.validate()?;
        if simulated {
            self.simulated.validate()?;
        }
        if let Devices::One(device) = &self.device {
            device.check_presence()?;
        }
        Ok(())
    }

    /// Where kernels are kept; `None` = nowhere.
    pub fn kernel_folder(&self) -> Option<PathBuf> {
        kernel_cache::folder(self.kernel_cache.as_deref())
    }

    /// How the engine shares the device.
    pub fn engine_options(&self) -> EngineOptions {
        let Self { report_interval, drawing_share, longest_pass, .. } = *self;
        EngineOptions { report_interval, drawing_share, longest_pass }
    }

    /// Name and folder of each model, the default one first, once all of them are here.
    pub fn models_default_first(&self) -> Vec<(String, PathBuf)> {
        let model = |(name, source): (&String, &ModelSource)| (name.clone(), PathBuf::from(&source.source));
        let mut models: Vec<_> = self.models.iter().map(model).collect();
        models.sort_by_key(|(name, _)| *name != self.default_model);
        models
    }

    /// The digests that models must have, by name.
    pub fn digests(&self) -> BTreeMap<String, String> {
        let digest = |(name, source): (&String, &ModelSource)| Some((name.clone(), source.digest.clone()?));
        self.models.iter().filter_map(digest).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::DeviceChoice;
    use likeness_faces::config::Channels;

    fn read(text: &str) -> Result<WorkerConfig, ConfigError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("worker.toml");
        std::fs::write(&path, text).unwrap();
        WorkerConfig::read(&path)
    }

    #[test]
    fn a_file_overrides_defaults_and_is_checked() {
        let text = "coordinators = [\"http://a:1\", \"http://b:1\"]\nslots = 4\ndrain_grace = \"3s\"\ndefault_model = \"b\"\n\
                    device = \"cpu\"\n[models]\na = \"/a\"\nb = \"/b\"\n";
        let config = read(text).unwrap();
        config.validate().unwrap();
        assert_eq!((config.slots, config.drain_grace), (4, Duration::from_secs(3)));
        assert_eq!(config.models_default_first()[0].0, "b");
        let several = read("device = \"cuda:0,cuda:1\"\nkernel_cache = \"\"\n").unwrap();
        assert_eq!((several.device.to_string().as_str(), several.kernel_folder()), ("cuda:0,cuda:1", None));
        assert_eq!(config.request_timeout, WorkerConfig::default().request_timeout);
        let checkpointing = read("activation_checkpointing = \"always\"").unwrap().activation_checkpointing;
        assert_eq!(checkpointing, ActivationCheckpointing::Always);
    }

    #[test]
    fn a_place_for_series_is_an_address_whose_password_is_not_printed() {
        let config = read("metrics = \"redis://w:secret@host:6379/0\"\nfleet = \"ours\"\n").unwrap();
        let shown = format!("{config:?}");
        assert!(shown.contains("redis://w:***@host") && !shown.contains("secret"), "{shown}");
        assert_eq!(config.fleet, "ours");
        assert!(read("metrics = \"host:6379\"").unwrap_err().to_string().contains("no address of a Redis"));
    }

    #[test]
    fn networks_for_faces_are_a_section() {
        let text = "[models]\na = \"/a\"\n[faces]\ndetector = \"yunet.onnx\"\n[faces.recogniser]\nfile = \"arcface.onnx\"\n\
                    channels = \"bgr\"\nmean = 127.5\nscale = 128.0\n[faces.limits]\nmin_face = 30\n";
        let faces = read(text).unwrap().faces;
        let recogniser = faces.recogniser.unwrap();
        assert_eq!((recogniser.mean, recogniser.scale, recogniser.channels), (127.5, 128.0, Channels::Bgr));
        assert_eq!((faces.limits.min_face, faces.judge), (30.0, None));
        assert!(read(text).unwrap().validate().unwrap_err().to_string().contains("there is no file"));
        let error = |text: &str| read(text).unwrap_err().to_string();
        assert!(error("[faces]\ndetecter = \"a\"\n").contains("detecter"));
        assert!(error("[faces.judge]\nfile = \"a\"\nmeen = 1\n").contains("meen"));
        assert!(error("[faces.judge]\nmean = 1\n").contains("file"));
        assert!(error("[faces.judge]\nfile = \"a\"\nchannels = \"rbg\"\n").contains("rbg"));
    }

    #[test]
    fn a_model_is_a_text_or_a_table() {
        let digest = "0f".repeat(32);
        let text = format!(
            "offline = true\nmodel_cache = \"/models\"\n[models]\na = \"models/a\"\nb = \"acme/b@v1\"\n[models.c]\n\
             source = \"acme/c\"\nrevision = \"v2\"\ndigest = \"{digest}\"\nvariant = \"fp16\"\n"
        );
        let config = read(&text).unwrap();
        config.validate().unwrap();
        assert_eq!((config.models["b"].source.as_str(), config.offline), ("acme/b@v1", true));
        assert_eq!(config.digests(), BTreeMap::from([("c".to_owned(), digest)]));
        let error = |text: &str| read(text).unwrap_err().to_string();
        assert!(error("[models.c]\nsource = \"acme/c\"\nrevison = \"v2\"\n").contains("revison"));
        assert!(error("[models]\nc = 7\n").contains("owner/name@revision"));
        let twice = read("[models.c]\nsource = \"acme/c@v1\"\nrevision = \"v2\"\n").unwrap();
        assert!(twice.validate().unwrap_err().to_string().starts_with("models.c: "));
    }

    #[test]
    fn mistakes_are_named() {
        assert!(read("slotz = 4").unwrap_err().to_string().contains("slotz"));
        let checkpointing = read("activation_checkpointing = \"often\"").unwrap_err().to_string();
        assert!(checkpointing.contains("\"often\" is not known: use \"auto\""), "{checkpointing}");
        assert!(read("device = \"tpu\"").unwrap_err().to_string().contains("\"tpu\" is not known"));
        assert!(matches!(WorkerConfig::default().validate(), Err(ConfigError::NoModels)));
        let models = BTreeMap::from([("pocket".to_owned(), "/p".into())]);
        let good = || WorkerConfig { models: models.clone(), ..WorkerConfig::default() };
        good().validate().unwrap();
        let text = |config: WorkerConfig| config.validate().unwrap_err().to_string();
        assert!(text(WorkerConfig { slots: 0, ..good() }).starts_with("slots is 0"));
        let nowhere = WorkerConfig { coordinators: vec!["http://a:1".into(), "nonsense".into()], ..good() };
        assert!(text(nowhere).contains("\"nonsense\" is not the address of a coordinator"));
        assert!(text(WorkerConfig { default_model: "x".into(), ..good() }).contains("models are pocket"));
        assert!(text(WorkerConfig { worker_id: "a b".into(), ..good() }).starts_with("worker_id"));
        assert!(text(WorkerConfig { drain_grace: Duration::ZERO, ..good() }).starts_with("drain_grace"));
        assert!(text(WorkerConfig { drawing_share: 1.0, ..good() }).starts_with("drawing_share is 1"));
        let simulated = WorkerConfig { device: DeviceChoice::Simulated.into(), ..WorkerConfig::default() };
        simulated.validate().unwrap();
        let both = WorkerConfig { device: DeviceChoice::Simulated.into(), ..good() };
        assert!(text(both).contains("runs no models"));
        let cuda = WorkerConfig { device: DeviceChoice::Cuda(99).into(), ..good() };
        assert!(text(cuda).contains("\"cuda:99\" is asked for"));
    }
}
