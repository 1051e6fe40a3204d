//! From an ending to a verdict: results go up first, then the settlement, both repeated until a coordinator has
//! them. A finished result is kept here for as long as the lease lives, whoever is away or full meanwhile: the
//! coordinator, its artifact store, or both. Where the worker has moved to another coordinator, that one is asked.

use std::time::Duration;

use bytes::Bytes;
use likeness_shared::artifacts::ArtifactError;
use likeness_shared::backoff::Backoff;
use likeness_shared::client::{Client, ClientError};
use likeness_shared::proto::settle_request::Outcome;
use likeness_shared::proto::{
    CancelledSettlement, FailedSettlement, GenerationResult, HandBackSettlement, InfrastructureSettlement,
    InversionSettlement, Picture, SettleRequest, SettleVerdict,
};
use tonic::Code;

use super::quality_upload::upload_report;
use super::route::{Route, Routes};
use crate::engine::{Attempt, Blame, DrawnPictures, Ending, Fault, LearnedPerson};

/// Pause before the second try.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The protocol version from which a coordinator knows that a worker can fail without its task.
const KNOWS_INFRASTRUCTURE: u32 = 2;

/// Who settles what.
#[derive(Clone, Debug)]
pub(super) struct Settlement {
    pub(super) worker_id: String,
    pub(super) attempt: Attempt,
    pub(super) device_time: Duration,
    /// Newest state of the task; empty = none.
    pub(super) checkpoint: Bytes,
}

/// Why a try gave no verdict.
enum Setback {
    /// It may pass: the result is kept and tried again.
    Passing(ClientError),
    /// The coordinator will not have it, now or later.
    Final(ClientError),
}

impl From<ClientError> for Setback {
    fn from(error: ClientError) -> Self {
        if may_pass(&error) { Self::Passing(error) } else { Self::Final(error) }
    }
}

/// Carries an ending to a coordinator. Ends with a verdict, or with the error of a coordinator that refuses.
pub(super) async fn settle(
    mut routes: Routes,
    settlement: Settlement,
    ending: Ending,
    most_backoff: Duration,
) -> Result<SettleVerdict, ClientError> {
    let attempt = settlement.attempt;
    let mut backoff = Backoff::new(FIRST_PAUSE, most_backoff, &attempt.to_string());
    loop {
        let (settlement, ending) = (&settlement, &ending);
        match routes.attempt(|route| try_once(route, settlement, ending)).await {
            Ok(verdict) => return Ok(verdict),
            Err(Setback::Final(error)) => return Err(error),
            Err(Setback::Passing(error)) => {
                let pause = backoff.next_pause();
                tracing::warn!(%attempt, %error, ?pause, "attempt cannot be settled yet, its result is kept");
                routes.pause(pause).await;
            }
        }
    }
}

async fn try_once(route: Route, settlement: &Settlement, ending: &Ending) -> Result<SettleVerdict, Setback> {
    let outcome = match outcome(&route, settlement, ending).await {
        Ok(outcome) => outcome,
        Err(ArtifactError::Client(error)) if may_pass(&error) => return Err(Setback::Passing(error)),
        Err(refused) => {
            let message = format!("the result was refused by the artifact store: {refused}");
            failed(&route, settlement, Fault::passing("upload_refused", message))
        }
    };
    let request = SettleRequest {
        worker_id: settlement.worker_id.clone(),
        task_id: settlement.attempt.task.to_string(),
        fence: settlement.attempt.fence.0,
        outcome: Some(outcome),
        device_time: prost_types::Duration::try_from(settlement.device_time).ok(),
    };
    match route.client.settle(request).await {
        // an artifact has gone since its upload: the next try uploads it again
        Err(error) if error.code() == Some(Code::FailedPrecondition) => Err(Setback::Passing(error)),
        answer => Ok(answer?),
    }
}

async fn outcome(route: &Route, settlement: &Settlement, ending: &Ending) -> Result<Outcome, ArtifactError> {
    let client = &route.client;
    Ok(match ending {
        Ending::Learned(person) => {
            let LearnedPerson {
                file,
                vectors,
                width,
                model_digest,
                final_loss,
                norm_ratio,
                steps,
                kept_step,
                photos_used,
                photos,
                quality,
            } = person;
            let (quality, quality_absent) = upload_report(client, quality.as_ref()).await?;
            Outcome::Inversion(InversionSettlement {
                artifact_digest: upload(client, file, "application/x-safetensors").await?,
                vectors: *vectors,
                width: *width,
                model_digest: model_digest.clone(),
                final_loss: *final_loss,
                norm_ratio: *norm_ratio,
                steps: *steps,
                kept_step: kept_step.unwrap_or(0),
                photos_used: *photos_used,
                photos: photos.clone(),
                quality,
                quality_absent,
            })
        }
        Ending::Drawn(DrawnPictures { pictures, warnings }) => {
            let mut settled = Vec::with_capacity(pictures.len());
            for picture in pictures {
                let artifact_digest = upload(client, &picture.png, "image/png").await?;
                let (seed, width, height) = (picture.seed, picture.width, picture.height);
                settled.push(Picture { artifact_digest, seed, width, height });
            }
            Outcome::Generation(GenerationResult { pictures: settled, warnings: warnings.clone() })
        }
        Ending::Failed(fault) => failed(route, settlement, fault.clone()),
        Ending::Cancelled => Outcome::Cancelled(CancelledSettlement {}),
        Ending::HandedBack { checkpoint, progress } => Outcome::HandBack(HandBackSettlement {
            checkpoint: checkpoint.to_vec(),
            progress: Some(progress.clone()),
        }),
    })
}

pub(super) async fn upload(
    client: &Client,
    bytes: &Bytes,
    media_type: &str,
) -> Result<String, ArtifactError> {
    Ok(client.artifacts().upload(bytes.clone(), media_type).await?.to_string())
}

/// A failure as the coordinator at the end of this route understands it.
fn failed(route: &Route, settlement: &Settlement, fault: Fault) -> Outcome {
    let Fault { code, message, blame, photos } = fault;
    if blame == Blame::Worker && route.protocol >= KNOWS_INFRASTRUCTURE {
        let checkpoint = settlement.checkpoint.to_vec();
        return Outcome::Infrastructure(InfrastructureSettlement { code, message, checkpoint });
    }
    Outcome::Failed(FailedSettlement { code, message, retryable: blame != Blame::Task, photos })
}

/// Whether a coordinator may take the same thing later.
pub(super) fn may_pass(error: &ClientError) -> bool {
    let passing = [Code::ResourceExhausted, Code::Internal, Code::Unknown, Code::Cancelled, Code::DataLoss];
    error.is_transient() || error.code().is_some_and(|code| passing.contains(&code))
}
