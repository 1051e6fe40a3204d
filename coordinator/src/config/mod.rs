//! The coordinator's configuration: every option, its default, and what makes it invalid.

mod store;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use likeness_faces::config::FacesConfig;
use likeness_shared::limits::{MAX_ARTIFACT_BYTES, MAX_CHUNK_BYTES};
use likeness_shared::telemetry::LogConfig;
use serde::{Deserialize, Serialize};

use crate::store::fair::FairPolicy;
pub use store::{InvalidLocation, RedisConfig, Secret, StoreLocation};

/// The port that a coordinator listens on unless told otherwise.
pub const DEFAULT_PORT: u16 = 7878;

/// Everything that can be set. Durations are written as `10s` or `30days`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CoordinatorConfig {
    /// Where to listen; port 0 = any free one.
    pub listen: SocketAddr,
    /// The task store: the file of the embedded one (made if it is not there), for one coordinator; or for several
    /// `redis://user:password@host:port/DB` or `redis+sentinel://user:password@host:port,host:port/SERVICE/DB`.
    pub store: StoreLocation,
    /// What is expected of a store in Redis.
    pub redis: RedisConfig,
    /// The folder of the artifacts; made if it is not there. Coordinators of one fleet must have the same folder.
    pub artifacts: PathBuf,
    /// How long a lease lives without a beat.
    #[serde(with = "humantime_serde")]
    pub lease_ttl: Duration,
    /// How often workers beat.
    #[serde(with = "humantime_serde")]
    pub beat_interval: Duration,
    /// How long a worker whose connection ended may take to come back before its tasks go to others.
    #[serde(with = "humantime_serde")]
    pub reconnect_grace: Duration,
    /// Between looks for what is due: leases that have run out, and tasks whose time has come.
    #[serde(with = "humantime_serde")]
    pub expiry_interval: Duration,
    /// What is kept for how long.
    pub retention: RetentionConfig,
    /// How GPU time is shared between users, and how much of a user's may wait. The same for all coordinators.
    pub fairness: FairPolicy,
    /// Uploads.
    pub uploads: UploadConfig,
    /// Connections.
    pub connections: ConnectionConfig,
    /// Networks that find and know faces, to judge photos before they are submitted; the same as the workers'. Without them
    /// `Photos.CheckPhotos` is refused.
    pub faces: FacesConfig,
    /// Limits of that.
    pub photo_checks: PhotoChecksConfig,
    /// Logs of the `likeness-coordinator` binary.
    pub log: LogConfig,
}

/// What is kept for how long.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RetentionConfig {
    /// Ended tasks.
    #[serde(with = "humantime_serde")]
    pub ended_tasks: Duration,
    /// Request ids.
    #[serde(with = "humantime_serde")]
    pub request_ids: Duration,
    /// Uploads that were begun and not finished.
    #[serde(with = "humantime_serde")]
    pub unfinished_uploads: Duration,
    /// Between sweeps.
    #[serde(with = "humantime_serde")]
    pub sweep_interval: Duration,
    /// Between looks at the whole store for indexes that are not as its records say; nothing, the default = none. What is
    /// found is logged as an error. Every coordinator looks, and holds all records in memory meanwhile: one of the fleet is
    /// enough, and none where ended tasks are kept by the million.
    #[serde(with = "humantime_serde")]
    pub scrub_interval: Duration,
    /// Such indexes are repaired as well. Find out why they differ first: each difference is a fault, or a hand that
    /// reached into the store.
    pub scrub_repairs: bool,
}

/// Limits of uploads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UploadConfig {
    /// Largest artifact, in bytes.
    pub max_bytes: u64,
    /// All uploads under way together, in bytes.
    pub staged_bytes: u64,
    /// For the next piece to arrive.
    #[serde(with = "humantime_serde")]
    pub piece_timeout: Duration,
}

/// Limits of judging photos. It takes a tenth of a second of every core for a photo.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PhotoChecksConfig {
    /// Photos that are looked at side by side.
    pub at_once: usize,
    /// Requests that may wait for their turn; the next one is sent away with a time to come back.
    pub waiting: usize,
    /// For all photos of a request, waiting included.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
}

impl Default for PhotoChecksConfig {
    fn default() -> Self {
        Self { at_once: 1, waiting: 16, timeout: Duration::from_secs(25) }
    }
}

/// Limits of connections.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConnectionConfig {
    /// Calls and streams at one time on one connection.
    pub max_concurrent_streams: u32,
    /// Between pings on a quiet connection.
    #[serde(with = "humantime_serde")]
    pub keepalive_interval: Duration,
    /// For the answer to a ping; then the connection is cut.
    #[serde(with = "humantime_serde")]
    pub keepalive_timeout: Duration,
    /// For one call to be answered (waits, watches, sessions and uploads have limits of their own).
    #[serde(with = "humantime_serde")]
    pub call_timeout: Duration,
    /// For a worker to take a message; then its session is cut.
    #[serde(with = "humantime_serde")]
    pub send_timeout: Duration,
}

impl Default for CoordinatorConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, DEFAULT_PORT)),
            store: StoreLocation::File(PathBuf::from("likeness-data/store.redb")),
            redis: RedisConfig::default(),
            artifacts: PathBuf::from("likeness-data/artifacts"),
            lease_ttl: Duration::from_secs(10),
            beat_interval: Duration::from_secs(2),
            reconnect_grace: Duration::from_secs(1),
            expiry_interval: Duration::from_millis(500),
            retention: RetentionConfig::default(),
            fairness: FairPolicy::default(),
            uploads: UploadConfig::default(),
            connections: ConnectionConfig::default(),
            faces: FacesConfig::default(),
            photo_checks: PhotoChecksConfig::default(),
            log: LogConfig::default(),
        }
    }
}

impl Default for RetentionConfig {
    fn default() -> Self {
        Self {
            ended_tasks: Duration::from_secs(30 * 24 * 3600),
            request_ids: Duration::from_secs(24 * 3600),
            unfinished_uploads: Duration::from_secs(3600),
            sweep_interval: Duration::from_secs(60),
            scrub_interval: Duration::ZERO,
            scrub_repairs: false,
        }
    }
}

impl Default for UploadConfig {
    fn default() -> Self {
        Self {
            max_bytes: MAX_ARTIFACT_BYTES,
            staged_bytes: 512 * 1024 * 1024,
            piece_timeout: Duration::from_secs(10),
        }
    }
}

impl Default for ConnectionConfig {
    fn default() -> Self {
        Self {
            max_concurrent_streams: 256,
            keepalive_interval: Duration::from_secs(2),
            keepalive_timeout: Duration::from_secs(3),
            call_timeout: Duration::from_secs(20),
            send_timeout: Duration::from_secs(2),
        }
    }
}

/// Why a configuration cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// An option has a value that cannot work.
    #[error("configuration: {option} {problem}")]
    Option {
        /// Name of the option, such as `retention.ended_tasks`.
        option: &'static str,
        /// What is wrong with it and what would be right.
        problem: String,
    },
    /// The networks for faces, by option.
    #[error("configuration: {0}")]
    Faces(String),
    /// The file cannot be read.
    #[error("configuration file {}: {reason}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

impl CoordinatorConfig {
    /// Reads a TOML file, with `LIKENESS_COORDINATOR__…` variables of the environment over it (`__` between the
    /// parts of a name). Without a file: defaults and environment.
    pub fn load(path: Option<&Path>) -> Result<Self, ConfigError> {
        let name = path.unwrap_or_else(|| Path::new("(environment)"));
        let refuse = |error: config::ConfigError| ConfigError::File {
            path: name.to_owned(),
            reason: error.to_string(),
        };
        let mut builder = config::Config::builder();
        if let Some(path) = path {
            builder = builder.add_source(config::File::from(path).format(config::FileFormat::Toml));
        }
        let environment = config::Environment::with_prefix("LIKENESS_COORDINATOR")
            .prefix_separator("__")
            .separator("__")
            .try_parsing(true);
        let read = builder.add_source(environment).build().map_err(refuse)?;
        let mut read: Self = read.try_deserialize().map_err(refuse)?;
        if let Some(folder) = path.and_then(Path::parent) {
            read.faces = read.faces.relative_to(folder);
        }
        Ok(read)
    }

    /// Artifacts, and the store unless it is in Redis, in one folder.
    #[must_use]
    pub fn with_data_folder(mut self, folder: &Path) -> Self {
        if matches!(self.store, StoreLocation::File(_)) {
            self.store = StoreLocation::File(folder.join("store.redb"));
        }
        self.artifacts = folder.join("artifacts");
        self
    }

    /// Refuses what cannot work.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let refuse = |option, problem: String| Err(ConfigError::Option { option, problem });
        for (option, duration) in [
            ("lease_ttl", self.lease_ttl),
            ("beat_interval", self.beat_interval),
            ("expiry_interval", self.expiry_interval),
            ("retention.ended_tasks", self.retention.ended_tasks),
            ("retention.request_ids", self.retention.request_ids),
            ("retention.unfinished_uploads", self.retention.unfinished_uploads),
            ("retention.sweep_interval", self.retention.sweep_interval),
            ("uploads.piece_timeout", self.uploads.piece_timeout),
            ("photo_checks.timeout", self.photo_checks.timeout),
            ("connections.keepalive_interval", self.connections.keepalive_interval),
            ("connections.keepalive_timeout", self.connections.keepalive_timeout),
            ("connections.call_timeout", self.connections.call_timeout),
            ("connections.send_timeout", self.connections.send_timeout),
        ] {
            if duration.is_zero() {
                return refuse(option, "must be longer than nothing".to_owned());
            }
        }
        if self.beat_interval.saturating_mul(3) > self.lease_ttl {
            let problem = format!(
                "is {:?}: at most a third of lease_ttl ({:?}), so that a lost beat costs no lease",
                self.beat_interval, self.lease_ttl
            );
            return refuse("beat_interval", problem);
        }
        if self.reconnect_grace >= self.lease_ttl {
            return refuse(
                "reconnect_grace",
                format!("must be shorter than lease_ttl ({:?})", self.lease_ttl),
            );
        }
        if self.uploads.max_bytes == 0 || self.uploads.max_bytes > MAX_ARTIFACT_BYTES {
            return refuse("uploads.max_bytes", format!("must be 1 to {MAX_ARTIFACT_BYTES}"));
        }
        if self.uploads.staged_bytes < self.uploads.max_bytes.max(MAX_CHUNK_BYTES as u64) {
            return refuse(
                "uploads.staged_bytes",
                "must have room for one artifact of uploads.max_bytes".to_owned(),
            );
        }
        if let Some((option, problem)) = self.fairness.problem() {
            return refuse(option, problem);
        }
        self.redis.validate()?;
        self.faces.validate().map_err(|error| ConfigError::Faces(error.to_string()))?;
        if !(1..=64).contains(&self.photo_checks.at_once) {
            return refuse("photo_checks.at_once", format!("is {}: give 1 to 64", self.photo_checks.at_once));
        }
        if self.photo_checks.waiting > 4096 {
            return refuse(
                "photo_checks.waiting",
                format!("is {}: give 0 to 4096", self.photo_checks.waiting),
            );
        }
        if self.connections.max_concurrent_streams == 0 {
            return refuse("connections.max_concurrent_streams", "must be at least 1".to_owned());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid() {
        assert_eq!(CoordinatorConfig::default().validate(), Ok(()));
    }

    #[test]
    fn a_file_is_read_and_unknown_options_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("coordinator.toml");
        std::fs::write(&path, "lease_ttl = \"6s\"\n[retention]\nended_tasks = \"7days\"\n").unwrap();
        let read = CoordinatorConfig::load(Some(&path)).unwrap();
        assert_eq!(read.lease_ttl, Duration::from_secs(6));
        assert_eq!(read.retention.ended_tasks, Duration::from_secs(7 * 24 * 3600));
        std::fs::write(&path, "lease_tttl = \"6s\"\n").unwrap();
        let error = CoordinatorConfig::load(Some(&path)).unwrap_err().to_string();
        assert!(error.contains("lease_tttl") && error.contains("coordinator.toml"), "{error}");
    }

    #[test]
    fn networks_for_faces_are_a_section_whose_mistakes_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("coordinator.toml");
        let text = "[faces]\ndetector = \"/no/yunet.onnx\"\n[faces.recogniser]\nfile = \"/no/sface.onnx\"\n\
                    [photo_checks]\nat_once = 2\ntimeout = \"5s\"\n";
        std::fs::write(&path, text).unwrap();
        let mut read = CoordinatorConfig::load(Some(&path)).unwrap();
        assert_eq!((read.photo_checks.at_once, read.photo_checks.timeout), (2, Duration::from_secs(5)));
        let said = read.validate().unwrap_err().to_string();
        assert!(said.contains("faces.") && said.contains("there is no file /no/"), "{said}");
        read.faces = FacesConfig::default();
        assert_eq!(read.validate(), Ok(()));
        read.photo_checks.at_once = 0;
        assert!(read.validate().unwrap_err().to_string().contains("photo_checks.at_once is 0"));
    }

    #[test]
    fn times_that_cannot_work_together_are_refused() {
        let slow =
            CoordinatorConfig { beat_interval: Duration::from_secs(5), ..CoordinatorConfig::default() };
        assert!(slow.validate().unwrap_err().to_string().contains("a third of lease_ttl"));
        let patient =
            CoordinatorConfig { reconnect_grace: Duration::from_secs(10), ..CoordinatorConfig::default() };
        assert!(patient.validate().is_err());
    }
}
