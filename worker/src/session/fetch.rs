//! From a lease to an order: downloads what the task needs, over the artifacts' own connection, within a deadline.
//! A coordinator that goes away meanwhile is waited for, or another one is asked.

use std::str::FromStr;
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use likeness_shared::artifacts::{Artifact, ArtifactError};
use likeness_shared::backoff::Backoff;
use likeness_shared::ids::Digest;
use likeness_shared::limits::MAX_ARTIFACT_BYTES;
use likeness_shared::proto::{GenerationSpec, InversionSpec, Lease, ResolvedPerson, lease, start};

use super::route::Routes;
use crate::engine::{Attempt, BoundPerson, Fault, Order, Work};

/// Downloads of one task that run side by side.
const SIDE_BY_SIDE: usize = 4;
/// Pauses between tries of one download.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// Everything that the leased task needs, in memory.
pub(super) async fn fetch(
    routes: Routes,
    attempt: Attempt,
    lease: Lease,
    deadline: Duration,
) -> Result<Order, Fault> {
    let Lease { checkpoint, people, spec, attempt: number, reseed, .. } = lease;
    let work = async {
        match spec {
            Some(lease::Spec::Inversion(spec)) => inversion(&routes, spec).await,
            Some(lease::Spec::Generation(spec)) => generation(&routes, spec, people).await,
            None => Err(Fault::passing(
                "bad_spec",
                "the lease holds no spec that this worker knows: use a newer worker",
            )),
        }
    };
    match tokio::time::timeout(deadline, work).await {
        Ok(work) => Ok(Order { attempt, number, reseed, work: work?, checkpoint: checkpoint.into() }),
        Err(_) => {
            let message = format!("the task's files did not arrive within {} s", deadline.as_secs_f64());
            Err(Fault::of_worker("fetch_failed", message))
        }
    }
}

async fn inversion(routes: &Routes, spec: InversionSpec) -> Result<Work, Fault> {
    let photos = stream::iter(spec.photo_digests.clone().into_iter().enumerate())
        .map(
            |(index, digest)| async move { download(routes, &format!("photo {}", index + 1), &digest).await },
        )
        .buffered(SIDE_BY_SIDE)
        .try_collect()
        .await?;
    let start_file = match spec.start.as_ref().and_then(|start| start.kind.as_ref()) {
        Some(start::Kind::Vectors(vectors)) => {
            Some(download(routes, "the start's person file", &vectors.artifact_digest).await?)
        }
        _ => None,
    };
    Ok(Work::Inversion { spec: Box::new(spec), photos, start_file })
}

async fn generation(
    routes: &Routes,
    spec: GenerationSpec,
    people: Vec<ResolvedPerson>,
) -> Result<Work, Fault> {
    let init_image = match &spec.init_image {
        Some(image) => Some(download(routes, "the init image", &image.artifact_digest).await?),
        None => None,
    };
    let ids: Vec<String> = spec.people.iter().map(|binding| binding.person_id.clone()).collect();
    let people =
        stream::iter(people.into_iter().zip(ids.into_iter().chain(std::iter::repeat(String::new()))))
            .map(|(person, id)| async move {
                let what = format!("the person behind {:?}", person.placeholder);
                let file = download(routes, &what, &person.artifact_digest).await?;
                let ResolvedPerson { placeholder, model_digest, .. } = person;
                Ok::<_, Fault>(BoundPerson { placeholder, id, file, model_digest })
            })
            .buffered(SIDE_BY_SIDE)
            .try_collect()
            .await?;
    Ok(Work::Generation { spec: Box::new(spec), people, init_image })
}

/// The file, tried until it is there; whoever waits sets the end.
async fn download(routes: &Routes, what: &str, digest: &str) -> Result<Bytes, Fault> {
    let parsed =
        Digest::from_str(digest).map_err(|error| Fault::lasting("bad_spec", format!("{what}: {error}")))?;
    let mut routes = routes.clone();
    let mut backoff = Backoff::new(PAUSES.0, PAUSES.1, digest);
    loop {
        let asked = routes.attempt(|route| async move {
            route.client.artifacts().download(parsed, MAX_ARTIFACT_BYTES).await
        });
        match asked.await {
            Ok(Artifact { bytes, .. }) => return Ok(bytes),
            Err(ArtifactError::Client(error)) if error.is_transient() => {
                let pause = backoff.next_pause();
                tracing::warn!(what, %error, ?pause, "file cannot be downloaded yet");
                routes.pause(pause).await;
            }
            Err(ArtifactError::Client(error)) if error.code() == Some(tonic::Code::NotFound) => {
                let message = format!("{what} is not in the artifact store: upload it again");
                return Err(Fault::lasting("artifact_missing", message));
            }
            Err(error) => {
                return Err(Fault::of_worker(
                    "fetch_failed",
                    format!("{what} cannot be downloaded: {error}"),
                ));
            }
        }
    }
}
