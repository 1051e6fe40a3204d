//! Models on this machine, before a device loads them: what a hub has is fetched into the cache, with a word to the log
//! from time to time.

use std::time::{Duration, Instant};

use likeness_hub::{HubError, HubOptions, ModelSource, Progress, Stage};
use tokio_util::sync::CancellationToken;

use crate::config::WorkerConfig;
use crate::error::WorkerError;

/// Between two words about one model.
const SAY_EVERY: Duration = Duration::from_secs(10);

/// The same configuration with a folder for every model. Nothing where it was told to stop meanwhile; what has come so
/// far is gone on from at the next start.
pub(crate) async fn bring_here(
    mut config: WorkerConfig,
    shutdown: &CancellationToken,
) -> Result<Option<WorkerConfig>, WorkerError> {
    let (cache, offline) = (config.model_cache.clone(), config.offline);
    for (name, source) in &mut config.models {
        let bringing = async {
            if let Some(folder) = likeness_hub::local(source)? {
                return Ok(folder);
            }
            let options = HubOptions::from_environment(cache.as_deref(), offline)?;
            tracing::info!(model = %name, source = source.source, cache = %options.cache.display(), "looking for the model");
            let mut said = Instant::now();
            let mut say = |progress: &Progress| say(name, progress, &mut said);
            likeness_hub::resolve(source, &options, &mut say).await
        };
        let brought: Result<_, HubError> = tokio::select! {
            brought = bringing => brought,
            () = shutdown.cancelled() => return Ok(None),
        };
        let folder =
            brought.map_err(|source| WorkerError::Model { name: name.clone(), source: Box::new(source) })?;
        *source = ModelSource { digest: source.digest.take(), ..ModelSource::from(folder) };
    }
    Ok(Some(config))
}

fn say(model: &str, progress: &Progress, said: &mut Instant) {
    if said.elapsed() < SAY_EVERY {
        return;
    }
    *said = Instant::now();
    let Progress { file, done, total, .. } = progress;
    match progress.stage {
        Stage::Checking => tracing::info!(%model, %file, done, total, "checking what is in the cache"),
        Stage::Waiting => tracing::info!(%model, %file, "another process fetches this file"),
        Stage::Fetching => tracing::info!(%model, %file, done, total, "fetching the model"),
    }
}
