//! Logs: one set-up for every binary, to standard error, so that standard output stays data.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;

/// How a line of the log looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line, for collectors.
    Json,
}

impl std::str::FromStr for LogFormat {
    type Err = TelemetryError;

    fn from_str(text: &str) -> Result<Self, TelemetryError> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            other => Err(TelemetryError::Format(other.to_owned())),
        }
    }
}

/// What to log, and how.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogConfig {
    /// `text` or `json`.
    pub format: LogFormat,
    /// Directives of `tracing-subscriber`, such as `info,likeness_worker=debug`. `LIKENESS_LOG` overrides it.
    pub filter: String,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { format: LogFormat::Text, filter: "info".to_owned() }
    }
}

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// Not one of the formats.
    #[error("log format {0:?} is unknown: use text or json")]
    Format(String),
    /// The filter's text cannot be read.
    #[error("log filter {filter:?} cannot be read: {reason}")]
    Filter {
        /// The text given.
        filter: String,
        /// What the parser says.
        reason: String,
    },
    /// Somebody has set up logging before.
    #[error("logging is set up already")]
    Already,
}

/// Sets up logging for the whole process. Call it once, first.
pub fn init(config: &LogConfig) -> Result<(), TelemetryError> {
    let filter = std::env::var("LIKENESS_LOG").unwrap_or_else(|_| config.filter.clone());
    let directives = EnvFilter::try_new(&filter)
        .map_err(|error| TelemetryError::Filter { filter, reason: error.to_string() })?;
    let builder = fmt().with_env_filter(directives).with_writer(std::io::stderr);
    let result = match config.format {
        LogFormat::Text => builder.with_target(false).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    result.map_err(|_| TelemetryError::Already)
}
