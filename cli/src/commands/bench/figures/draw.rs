//! Pictures: a sampler step of them, their decoding, and all of it from the prompt on.

use likeness_worker::generation::{TextToImage, decode_pass, sample_pass};

use super::super::session::Session;
use super::super::subject::Subject;
use super::super::timing::WARM_UPS;

const GUIDANCE: f64 = 7.5;
/// Rows of a guided picture.
const GUIDED: usize = 2;

pub(super) fn measure_samples(session: &mut Session<'_>, batches: &[usize]) -> anyhow::Result<()> {
    let steps = session.repeats() + WARM_UPS;
    session.measure_each("sample", batches, |subject, count| sample_step(subject, count, steps))
}

pub(super) fn measure_decoding(session: &mut Session<'_>, batches: &[usize]) -> anyhow::Result<()> {
    session.measure_each("decode", batches, |subject, count| {
        let mut pictures = subject.pictures(count, 1, 1.0)?;
        // only to have pictures that are drawn: one row at once is the shape that is there already
        step(subject, &mut pictures, 1)?;
        Ok(move || decode(subject, &pictures))
    })
}

/// Whole pictures, warmed up by pictures of two steps.
pub(super) fn measure_pictures(
    session: &mut Session<'_>,
    batches: &[usize],
    steps: u32,
) -> anyhow::Result<()> {
    let subject = session.subject;
    let mut sizes = batches.to_vec();
    sizes.sort_unstable();
    sizes.dedup();
    for count in sizes {
        let made = session.measure("picture", count, 0, || {
            draw(subject, count, 2)?;
            Ok(move || draw(subject, count, steps))
        })?;
        if !made {
            break;
        }
    }
    Ok(())
}

/// Guided steps of so many pictures, as often as said.
pub(in super::super) fn sample_step(
    subject: &Subject,
    count: usize,
    steps: u32,
) -> anyhow::Result<impl FnMut() -> anyhow::Result<()>> {
    let mut pictures = subject.pictures(count, steps, GUIDANCE)?;
    Ok(move || step(subject, &mut pictures, GUIDED * count))
}

fn draw(subject: &Subject, count: usize, steps: u32) -> anyhow::Result<()> {
    let mut pictures = subject.pictures(count, steps, GUIDANCE)?;
    while pictures.iter().any(|picture| !picture.is_drawn()) {
        step(subject, &mut pictures, GUIDED * count)?;
    }
    decode(subject, &pictures)
}

fn step(subject: &Subject, pictures: &mut [TextToImage<'_>], most_rows: usize) -> anyhow::Result<()> {
    let mut pictures: Vec<&mut TextToImage<'_>> = pictures.iter_mut().collect();
    Ok(sample_pass(&subject.model, &mut pictures, most_rows)?)
}

fn decode(subject: &Subject, pictures: &[TextToImage<'_>]) -> anyhow::Result<()> {
    let pictures: Vec<&TextToImage<'_>> = pictures.iter().collect();
    let decoded = decode_pass(&subject.model, &pictures, pictures.len())?;
    Ok(decoded.into_iter().try_for_each(|picture| picture.map(drop))?)
}
