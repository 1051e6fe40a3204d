//! From a lease to an order: downloads what the task needs, over the artifacts' own connection, within a deadline.

use std::str::FromStr;
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use likeness_shared::artifacts::{ArtifactError, ArtifactsClient};
use likeness_shared::ids::Digest;
use likeness_shared::limits::MAX_ARTIFACT_BYTES;
use likeness_shared::proto::{GenerationSpec, InversionSpec, Lease, ResolvedPerson, lease, start};

use crate::engine::{Attempt, BoundPerson, Fault, Order, Work};

/// Downloads of one task that run side by side.
const SIDE_BY_SIDE: usize = 4;

/// Everything that the leased task needs, in memory.
pub(super) async fn fetch(
    artifacts: &ArtifactsClient,
    attempt: Attempt,
    lease: Lease,
    deadline: Duration,
) -> Result<Order, Fault> {
    let checkpoint = Bytes::from(lease.checkpoint);
    let people = lease.people;
    let work = async {
        match lease.spec {
            Some(lease::Spec::Inversion(spec)) => inversion(artifacts, spec).await,
            Some(lease::Spec::Generation(spec)) => generation(artifacts, spec, people).await,
            None => Err(Fault::passing(
                "bad_spec",
                "the lease holds no spec that this worker knows: use a newer worker",
            )),
        }
    };
    match tokio::time::timeout(deadline, work).await {
        Ok(work) => Ok(Order { attempt, work: work?, checkpoint }),
        Err(_) => {
            let message = format!("the task's files did not arrive within {} s", deadline.as_secs_f64());
            Err(Fault::passing("fetch_failed", message))
        }
    }
}

async fn inversion(artifacts: &ArtifactsClient, spec: InversionSpec) -> Result<Work, Fault> {
    let photos =
        stream::iter(spec.photo_digests.clone().into_iter().enumerate())
            .map(|(index, digest)| async move {
                download(artifacts, &format!("photo {}", index + 1), &digest).await
            })
            .buffered(SIDE_BY_SIDE)
            .try_collect()
            .await?;
    let start_file = match spec.start.as_ref().and_then(|start| start.kind.as_ref()) {
        Some(start::Kind::Vectors(vectors)) => {
            Some(download(artifacts, "the start's person file", &vectors.artifact_digest).await?)
        }
        _ => None,
    };
    Ok(Work::Inversion { spec: Box::new(spec), photos, start_file })
}

async fn generation(
    artifacts: &ArtifactsClient,
    spec: GenerationSpec,
    people: Vec<ResolvedPerson>,
) -> Result<Work, Fault> {
    let ids: Vec<String> = spec.people.iter().map(|binding| binding.person_id.clone()).collect();
    let people =
        stream::iter(people.into_iter().zip(ids.into_iter().chain(std::iter::repeat(String::new()))))
            .map(|(person, id)| async move {
                let what = format!("the person behind {:?}", person.placeholder);
                let file = download(artifacts, &what, &person.artifact_digest).await?;
                let ResolvedPerson { placeholder, model_digest, .. } = person;
                Ok::<_, Fault>(BoundPerson { placeholder, id, file, model_digest })
            })
            .buffered(SIDE_BY_SIDE)
            .try_collect()
            .await?;
    Ok(Work::Generation { spec: Box::new(spec), people })
}

async fn download(artifacts: &ArtifactsClient, what: &str, digest: &str) -> Result<Bytes, Fault> {
    let parsed =
        Digest::from_str(digest).map_err(|error| Fault::lasting("bad_spec", format!("{what}: {error}")))?;
    let artifact = artifacts.download(parsed, MAX_ARTIFACT_BYTES).await.map_err(|error| match &error {
        ArtifactError::Client(client) if client.code() == Some(tonic::Code::NotFound) => Fault::lasting(
            "artifact_missing",
            format!("{what} is not in the artifact store: upload it again"),
        ),
        _ => Fault::passing("fetch_failed", format!("{what} cannot be downloaded: {error}")),
    })?;
    Ok(artifact.bytes)
}
