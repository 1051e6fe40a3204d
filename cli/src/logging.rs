//! The log on stderr: of the services that run inside `up` and `demo`, and of the client.

use likeness_shared::telemetry::{self, LogConfig, LogFormat, TelemetryError};

/// Starts logging as the flags ask; `LIKENESS_LOG` wins over them.
pub(crate) fn start(quiet: bool, verbose: u8) -> Result<(), TelemetryError> {
    let filter = match (quiet, verbose) {
        (true, _) => "error",
        (_, 0) => "warn",
        (_, 1) => "warn,likeness=info,likeness_coordinator=info,likeness_worker=info,likeness_shared=info",
        (_, 2) => {
            "info,likeness=debug,likeness_coordinator=debug,likeness_worker=debug,likeness_shared=debug"
        }
        _ => "debug",
    };
    telemetry::init(&LogConfig { format: LogFormat::Text, filter: filter.to_owned() })
}
