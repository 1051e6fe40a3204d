//! From an ending to a verdict: results go up first, then the settlement, both repeated until the coordinator has
//! them. A finished result is kept here for as long as the coordinator is away.

use std::time::Duration;

use bytes::Bytes;
use likeness_shared::artifacts::ArtifactError;
use likeness_shared::backoff::Backoff;
use likeness_shared::client::{Client, ClientError};
use likeness_shared::proto::settle_request::Outcome;
use likeness_shared::proto::{
    CancelledSettlement, FailedSettlement, GenerationResult, HandBackSettlement, InversionSettlement,
    Picture, SettleRequest, SettleVerdict,
};
use tonic::Code;

use crate::engine::{Attempt, DrawnPictures, Ending, Fault, LearnedPerson};

/// Who settles what.
#[derive(Clone, Debug)]
pub(super) struct Settlement {
    pub(super) worker_id: String,
    pub(super) attempt: Attempt,
    pub(super) device_time: Duration,
}

/// Carries an ending to the coordinator. Ends with a verdict, or with the error of a coordinator that refuses.
pub(super) async fn settle(
    client: &Client,
    settlement: Settlement,
    ending: Ending,
    most_backoff: Duration,
) -> Result<SettleVerdict, ClientError> {
    let Settlement { worker_id, attempt, device_time } = settlement;
    let mut backoff = Backoff::new(Duration::from_millis(100), most_backoff, &attempt.to_string());
    let outcome = match outcome(client, &ending, &mut backoff).await {
        Ok(outcome) => outcome,
        Err(refused) => {
            let message = format!("the result was refused by the artifact store: {refused}");
            Outcome::Failed(failed(Fault::passing("upload_refused", message)))
        }
    };
    let request = SettleRequest {
        worker_id,
        task_id: attempt.task.to_string(),
        fence: attempt.fence.0,
        outcome: Some(outcome),
        device_time: prost_types::Duration::try_from(device_time).ok(),
    };
    backoff.reset();
    loop {
        match client.settle(request.clone()).await {
            Ok(verdict) => return Ok(verdict),
            Err(error) if may_pass(&error) => wait(&mut backoff, attempt, &error).await,
            Err(error) => return Err(error),
        }
    }
}

async fn outcome(client: &Client, ending: &Ending, backoff: &mut Backoff) -> Result<Outcome, ArtifactError> {
    Ok(match ending {
        Ending::Learned(person) => {
            let LearnedPerson { file, vectors, width, model_digest, final_loss, norm_ratio } = person;
            Outcome::Inversion(InversionSettlement {
                artifact_digest: upload(client, file, "application/x-safetensors", backoff).await?,
                vectors: *vectors,
                width: *width,
                model_digest: model_digest.clone(),
                final_loss: *final_loss,
                norm_ratio: *norm_ratio,
            })
        }
        Ending::Drawn(DrawnPictures { pictures, warnings }) => {
            let mut settled = Vec::with_capacity(pictures.len());
            for picture in pictures {
                let artifact_digest = upload(client, &picture.png, "image/png", backoff).await?;
                let (seed, width, height) = (picture.seed, picture.width, picture.height);
                settled.push(Picture { artifact_digest, seed, width, height });
            }
            Outcome::Generation(GenerationResult { pictures: settled, warnings: warnings.clone() })
        }
        Ending::Failed(fault) => Outcome::Failed(failed(fault.clone())),
        Ending::Cancelled => Outcome::Cancelled(CancelledSettlement {}),
        Ending::HandedBack { checkpoint, progress } => Outcome::HandBack(HandBackSettlement {
            checkpoint: checkpoint.to_vec(),
            progress: Some(progress.clone()),
        }),
    })
}

/// Uploads until the store has it. A full or absent store is waited for; only a refusal of the bytes themselves
/// is an error.
async fn upload(
    client: &Client,
    bytes: &Bytes,
    media_type: &str,
    backoff: &mut Backoff,
) -> Result<String, ArtifactError> {
    loop {
        match client.artifacts().upload(bytes.clone(), media_type).await {
            Ok(digest) => return Ok(digest.to_string()),
            Err(ArtifactError::Client(error)) if may_pass(&error) => {
                let pause = backoff.next_pause();
                tracing::warn!(%error, ?pause, "result cannot be uploaded yet, it is kept");
                tokio::time::sleep(pause).await;
            }
            Err(error) => return Err(error),
        }
    }
}

/// Whether the coordinator may take the same thing later.
fn may_pass(error: &ClientError) -> bool {
    let passing = [Code::ResourceExhausted, Code::Internal, Code::Unknown, Code::Cancelled, Code::DataLoss];
    error.is_transient() || error.code().is_some_and(|code| passing.contains(&code))
}

async fn wait(backoff: &mut Backoff, attempt: Attempt, error: &ClientError) {
    let pause = backoff.next_pause();
    tracing::warn!(%attempt, %error, ?pause, "attempt cannot be settled yet, its result is kept");
    tokio::time::sleep(pause).await;
}

fn failed(fault: Fault) -> FailedSettlement {
    let Fault { code, message, retryable } = fault;
    FailedSettlement { code, message, retryable }
}
