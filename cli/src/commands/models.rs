//! A model on this machine: a folder as it is, or one of a hub, fetched with a bar that says how far it is.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::Context;
use clap::Args;
use likeness_hub::{HubOptions, ModelSource, Progress, Stage};

use crate::commands::interrupt::interrupted;
use crate::exit::{CliError, Exit};
use crate::output::Voice;
use crate::progress::{Meter, Standing};

/// Bytes are shown in these.
const MEBIBYTE: u64 = 1 << 20;

/// Where models of a hub are kept.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Models of a hub")]
pub(crate) struct CacheArguments {
    /// Folder for models of a hub [default: where the hub's own programs keep theirs].
    #[arg(long, env = "LIKENESS_MODEL_CACHE", value_name = "DIR")]
    model_cache: Option<PathBuf>,
    /// Dial no hub: the model has to be here already.
    #[arg(long)]
    offline: bool,
}

/// The folder of a model that is named by its folder or as `owner/name@revision`.
pub(crate) async fn bring_here(text: &str, cache: &CacheArguments, voice: Voice) -> anyhow::Result<PathBuf> {
    let source = ModelSource::from(text);
    if let Some(folder) = likeness_hub::local(&source)? {
        return Ok(folder);
    }
    let options = HubOptions::from_environment(cache.model_cache.as_deref(), cache.offline)?;
    let mut meter = Meter::new(voice, text);
    let mut pace = Pace::default();
    let mut show = |progress: &Progress| meter.show(pace.standing(progress));
    let brought = tokio::select! {
        brought = likeness_hub::resolve(&source, &options, &mut show) => brought,
        () = interrupted() => {
            let message = "stopped; what has come so far is gone on from the next time";
            return Err(CliError::new(Exit::Interrupted, message).into());
        }
    };
    let folder = brought.with_context(|| format!("cannot have the model {text}"))?;
    meter.finish(format_args!("in {}", folder.display()));
    Ok(folder)
}

/// How fast bytes come since the first ones of a stage.
#[derive(Default)]
struct Pace {
    began: Option<(Stage, Instant, u64)>,
}

impl Pace {
    fn standing(&mut self, progress: &Progress) -> Standing {
        let (began, first) = match self.began {
            Some((stage, at, first)) if stage == progress.stage => (at, first),
            _ => {
                let now = Instant::now();
                self.began = Some((progress.stage, now, progress.done));
                (now, progress.done)
            }
        };
        let done = progress.done.saturating_sub(first) as f64 / MEBIBYTE as f64;
        let phase = match progress.stage {
            Stage::Checking => format!("checking {}, MiB", progress.file),
            Stage::Waiting => format!("waiting for another process that fetches {}, MiB", progress.file),
            Stage::Fetching => format!("fetching {}, MiB", progress.file),
        };
        Standing {
            phase,
            step: progress.done / MEBIBYTE,
            total: progress.total.div_ceil(MEBIBYTE),
            rate: 0.0,
            remark: rate(done, began.elapsed().as_secs_f64()),
        }
    }
}

/// "12.3 MiB/s", once it means something.
fn rate(mebibytes: f64, seconds: f64) -> String {
    if seconds < 1.0 { String::new() } else { format!("{:.1} MiB/s", mebibytes / seconds) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_shown_in_mebibytes() {
        let mut pace = Pace::default();
        let file = "unet/config.json".to_owned();
        let progress = Progress { stage: Stage::Fetching, file, done: 3 * MEBIBYTE, total: 7 * MEBIBYTE + 1 };
        assert_eq!(pace.standing(&progress).to_string(), "fetching unet/config.json, MiB 3/8");
        assert_eq!((rate(50.0, 4.0).as_str(), rate(50.0, 0.1).as_str()), ("12.5 MiB/s", ""));
    }
}
