//! One pass for jobs that are in the same stage: what each brings is gathered, the model is gone through once, and each
//! gets back what is its own. Until then no job has changed.

use super::StudioJob;
use super::generation_job;
use super::inversion_job::{self, InversionJob};
use crate::engine::machine::{PassError, Stage, Stepped};
use crate::engine::order::Fault;
use crate::generation::{TextToImage, decode_pass, sample_pass};
use crate::inversion::latents::{PhotoToEncode, encode_pass};
use crate::inversion::training_pass::{Member, RowOutcome, Want, training_pass};

/// Makes one step of each job; training with activations kept or `checkpointed`.
pub(super) fn make(
    stage: Stage,
    jobs: &mut [&mut StudioJob<'_>],
    most_rows: usize,
    checkpointed: bool,
) -> Result<Vec<Stepped>, PassError> {
    match stage {
        Stage::Intake => Ok(inversions(jobs)?.into_iter().map(InversionJob::take_in).collect()),
        Stage::Encode => encode(inversions(jobs)?, most_rows),
        Stage::Train if checkpointed => train(inversions(jobs)?, Want::GradientsCheckpointed, most_rows),
        Stage::Train => train(inversions(jobs)?, Want::Gradients, most_rows),
        Stage::Watch => train(inversions(jobs)?, Want::Losses, most_rows),
        Stage::Prompt => Ok(jobs.iter_mut().map(|job| job.read_prompts()).collect()),
        Stage::Look => Ok(inversions(jobs)?.into_iter().map(InversionJob::look).collect()),
        Stage::Sample => sample(jobs, most_rows),
        Stage::Decode => decode(jobs, most_rows),
    }
}

fn encode(mut jobs: Vec<&mut InversionJob<'_>>, most_rows: usize) -> Result<Vec<Stepped>, PassError> {
    let Some(model) = jobs.first().map(|job| job.diffusion()) else { return Ok(Vec::new()) };
    let photos: Vec<Vec<PhotoToEncode<'_>>> = jobs.iter().map(|job| job.photos_to_encode()).collect();
    let counts: Vec<usize> = photos.iter().map(Vec::len).collect();
    let mut encoded = encode_pass(model, &photos.concat(), most_rows).into_iter();
    let step = |(job, count): (&mut &mut InversionJob<'_>, usize)| {
        job.encoded(encoded.by_ref().take(count).collect())
    };
    Ok(jobs.iter_mut().zip(counts).map(step).collect())
}

fn train(
    mut jobs: Vec<&mut InversionJob<'_>>,
    want: Want,
    most_rows: usize,
) -> Result<Vec<Stepped>, PassError> {
    let Some(model) = jobs.first().map(|job| job.diffusion()) else { return Ok(Vec::new()) };
    let steps = jobs.iter().map(|job| job.next_step()).collect::<Result<Vec<_>, _>>();
    let steps = steps.map_err(PassError::Failed)?;
    let Some(schedule) = steps.first().map(|step| step.schedule) else { return Ok(Vec::new()) };
    let counts: Vec<usize> = steps.iter().map(|step| step.parts.len()).collect();
    let parts = steps.iter().flat_map(|step| &step.parts);
    let members: Vec<Member<'_>> =
        parts.map(|part| Member { batch: &part.batch, vectors: &part.vectors }).collect();
    let rows = training_pass(model, schedule, &members, want, most_rows);
    let rows = rows.map_err(|error| PassError::Failed(inversion_job::fault(error.into())))?;
    let mut rows = rows.into_iter();
    let step = |(job, count): (&mut &mut InversionJob<'_>, usize)| {
        let parts: Vec<Vec<RowOutcome>> = rows.by_ref().take(count).collect();
        match want {
            Want::Gradients | Want::GradientsCheckpointed => {
                job.trained(parts.first().map_or(&[], Vec::as_slice))
            }
            Want::Losses => job.watched(&parts),
        }
    };
    Ok(jobs.iter_mut().zip(counts).map(step).collect())
}

fn sample(jobs: &mut [&mut StudioJob<'_>], most_rows: usize) -> Result<Vec<Stepped>, PassError> {
    let Some(model) = jobs.first().map(|job| job.diffusion()) else { return Ok(Vec::new()) };
    let mut pictures: Vec<&mut TextToImage<'_>> = Vec::new();
    for job in jobs.iter_mut() {
        pictures.extend(job.under_way_mut());
    }
    sample_pass(model, &mut pictures, most_rows)
        .map_err(|error| PassError::Failed(generation_job::fault(error)))?;
    Ok(jobs.iter().map(|_| Ok(None)).collect())
}

fn decode(jobs: &mut [&mut StudioJob<'_>], most_rows: usize) -> Result<Vec<Stepped>, PassError> {
    let Some(model) = jobs.first().map(|job| job.diffusion()) else { return Ok(Vec::new()) };
    let decoded = {
        let pictures: Vec<&TextToImage<'_>> = jobs.iter().flat_map(|job| job.under_way()).collect();
        decode_pass(model, &pictures, most_rows)
    };
    let mut decoded = decoded.map_err(|error| PassError::Failed(generation_job::fault(error)))?.into_iter();
    let step = |job: &mut &mut StudioJob<'_>| {
        let count = job.under_way().len();
        job.decoded(decoded.by_ref().take(count).collect())
    };
    Ok(jobs.iter_mut().map(step).collect())
}

fn inversions<'a, 'm>(
    jobs: &'a mut [&mut StudioJob<'m>],
) -> Result<Vec<&'a mut InversionJob<'m>>, PassError> {
    let inversion = |job: &'a mut &mut StudioJob<'m>| match &mut **job {
        StudioJob::Inversion(job) => Some(&mut **job),
        StudioJob::Generation(_) => None,
    };
    jobs.iter_mut().map(inversion).collect::<Option<_>>().ok_or_else(mixed)
}

fn mixed() -> PassError {
    PassError::Failed(Fault::passing("internal", "inversions and generations cannot share this pass"))
}
