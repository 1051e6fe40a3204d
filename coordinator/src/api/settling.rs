//! Settlements: from the wire to the store, after the artifacts that they name have been looked for.

use bytes::Bytes;
use likeness_shared::errors::ServiceError;
use likeness_shared::ids::{Digest, Fence};
use likeness_shared::limits::{Checks, MAX_CHECKPOINT_BYTES, MAX_QUALITY_BYTES};
use likeness_shared::proto::settle_request::Outcome as WireOutcome;
use likeness_shared::proto::{
    GenerationResult, InversionResult, InversionSettlement, QualityAbsence, QualityReport, SettleRequest,
    SettleResponse, SettleVerdict as WireVerdict,
};
use prost::Message;

use super::importing::MAX_VECTORS;
use super::{Shared, listing, wire};
use crate::store::record::Outcome;
use crate::store::transition::{AttemptEnd, AttemptSettlement, SettleVerdict};
use crate::store::{LearnedPerson, Settlement};

/// Longest error message kept, in bytes.
const MAX_MESSAGE: usize = 4096;

/// Ends an attempt. Repeatable.
pub(super) async fn settle(shared: &Shared, request: SettleRequest) -> Result<SettleResponse, ServiceError> {
    let (settlement, artifacts) = settlement(request)?;
    listing::require_artifacts(shared, &artifacts).await?;
    let (task, worker, fence) =
        (settlement.task, settlement.attempt.worker.clone(), settlement.attempt.fence);
    let verdict = shared.stored(shared.store.settle(settlement)).await?;
    shared.roster.released(&worker, task);
    tracing::debug!(%task, %worker, %fence, ?verdict, "attempt settled");
    let verdict = match verdict {
        SettleVerdict::Accepted => WireVerdict::Accepted,
        SettleVerdict::Repeated => WireVerdict::Repeated,
        SettleVerdict::Stale => WireVerdict::Stale,
    };
    Ok(SettleResponse { verdict: verdict.into() })
}

/// The settlement and the artifacts that must be there first.
fn settlement(request: SettleRequest) -> Result<(Settlement, Vec<Digest>), ServiceError> {
    let digest = outcome_digest(&request);
    let mut checks = Checks::new();
    let worker = checks.parse("worker_id", &request.worker_id);
    let task = checks.parse("task_id", &request.task_id);
    checks.require(request.fence > 0, "fence", || "must be the lease's".to_owned());
    let mut person = None;
    let mut checkpoint = Bytes::new();
    let mut artifacts = Vec::new();
    let mut photos = None;
    let end = match request.outcome {
        None => {
            checks.refuse("outcome", "is missing: say how the attempt ended");
            None
        }
        Some(WireOutcome::Inversion(inversion)) => {
            person = learned(&inversion, &mut checks);
            photos = inversion.photos;
            artifacts.extend(person.as_ref().map(|person| person.artifact));
            artifacts.extend(report_pictures(inversion.quality.as_deref(), &mut checks));
            Some(AttemptEnd::Succeeded(Outcome::Inversion(InversionResult {
                person_id: String::new(),
                artifact_digest: inversion.artifact_digest,
                vectors: inversion.vectors,
                final_loss: inversion.final_loss,
                norm_ratio: inversion.norm_ratio,
                steps: inversion.steps,
                kept_step: inversion.kept_step,
                photos_used: inversion.photos_used,
                quality: inversion.quality,
                quality_absent: inversion
                    .quality_absent
                    .map(|absence| QualityAbsence { message: cut(absence.message), ..absence }),
            })))
        }
        Some(WireOutcome::Generation(result)) => {
            artifacts = pictures(&result, &mut checks);
            Some(AttemptEnd::Succeeded(Outcome::Generation(result)))
        }
        Some(WireOutcome::Failed(failed)) => {
            require_code("outcome.failed.code", &failed.code, &mut checks);
            let message = cut(failed.message);
            photos = failed.photos;
            Some(AttemptEnd::Failed { code: failed.code, message, retryable: failed.retryable })
        }
        Some(WireOutcome::Cancelled(_)) => Some(AttemptEnd::Cancelled),
        Some(WireOutcome::HandBack(hand_back)) => {
            let size = hand_back.checkpoint.len();
            checks.require(size <= MAX_CHECKPOINT_BYTES, "outcome.hand_back.checkpoint", || {
                format!("must be at most {MAX_CHECKPOINT_BYTES} bytes, not {size}")
            });
            checkpoint = hand_back.checkpoint.into();
            Some(AttemptEnd::HandBack { progress: hand_back.progress })
        }
        Some(WireOutcome::Infrastructure(failed)) => {
            require_code("outcome.infrastructure.code", &failed.code, &mut checks);
            let size = failed.checkpoint.len();
            checks.require(size <= MAX_CHECKPOINT_BYTES, "outcome.infrastructure.checkpoint", || {
                format!("must be at most {MAX_CHECKPOINT_BYTES} bytes, not {size}")
            });
            checkpoint = failed.checkpoint.into();
            Some(AttemptEnd::Infrastructure { code: failed.code, message: cut(failed.message) })
        }
    };
    checks.finish()?;
    let attempt = AttemptSettlement {
        worker: wire::checked(worker)?,
        fence: Fence(request.fence),
        digest,
        end: wire::checked(end)?,
        photos,
        device_time_us: wire::to_microseconds(request.device_time),
    };
    Ok((Settlement { task: wire::checked(task)?, attempt, person, checkpoint }, artifacts))
}

/// Of the outcome alone: a repetition may have measured its device time anew.
fn outcome_digest(request: &SettleRequest) -> Digest {
    let outcome = SettleRequest { outcome: request.outcome.clone(), ..SettleRequest::default() };
    Digest::of(&outcome.encode_to_vec())
}

fn learned(inversion: &InversionSettlement, checks: &mut Checks) -> Option<LearnedPerson> {
    let artifact = checks.parse("outcome.inversion.artifact_digest", &inversion.artifact_digest);
    let most = u32::try_from(MAX_VECTORS).unwrap_or(u32::MAX);
    checks.whole("outcome.inversion.vectors", inversion.vectors, 1..=most);
    checks.whole("outcome.inversion.width", inversion.width, 1..=8192);
    if !inversion.model_digest.is_empty() {
        checks.parse::<Digest>("outcome.inversion.model_digest", &inversion.model_digest);
    }
    Some(LearnedPerson {
        artifact: artifact?,
        vectors: inversion.vectors,
        width: inversion.width,
        model_digest: inversion.model_digest.clone(),
        quality: inversion.quality.clone(),
    })
}

/// The pictures of a report, where there is one.
fn report_pictures(report: Option<&QualityReport>, checks: &mut Checks) -> Vec<Digest> {
    let Some(report) = report else { return Vec::new() };
    let size = report.encoded_len();
    checks.require(size <= MAX_QUALITY_BYTES, "outcome.inversion.quality", || {
        format!("must be at most {MAX_QUALITY_BYTES} bytes, not {size}")
    });
    let pictures = report.prompts.iter().flat_map(|prompt| &prompt.pictures);
    let field = "outcome.inversion.quality.prompts.pictures.artifact_digest";
    pictures.filter_map(|picture| checks.parse(field, &picture.artifact_digest)).collect()
}

fn pictures(result: &GenerationResult, checks: &mut Checks) -> Vec<Digest> {
    checks.require(!result.pictures.is_empty(), "outcome.generation.pictures", || {
        "must hold at least one picture".to_owned()
    });
    let digests = result.pictures.iter().enumerate().filter_map(|(index, picture)| {
        checks
            .parse(&format!("outcome.generation.pictures[{index}].artifact_digest"), &picture.artifact_digest)
    });
    digests.collect()
}

fn require_code(field: &str, code: &str, checks: &mut Checks) {
    let acceptable =
        (1..=64).contains(&code.len()) && code.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    checks.require(acceptable, field, || "must be a code of 1 to 64 letters, digits or '_'".to_owned());
}

fn cut(mut message: String) -> String {
    if message.len() > MAX_MESSAGE {
        let end = (0..=MAX_MESSAGE).rev().find(|end| message.is_char_boundary(*end)).unwrap_or(0);
        message.truncate(end);
    }
    message
}
