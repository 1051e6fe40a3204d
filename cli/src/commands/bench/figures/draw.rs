//! Pictures: a sampler step of them, their decoding, and all of it from the prompt on.

use likeness_worker::generation::{TextToImage, decode_pass, sample_pass};

use super::super::session::Session;
use super::super::subject::Subject;
use super::super::timing::{WARM_UPS, wait_for};

const GUIDANCE: f64 = 7.5;
/// Rows of a guided picture.
const GUIDED: usize = 2;

pub(super) fn measure_samples(session: &mut Session<'_>, batches: &[usize]) -> anyhow::Result<()> {
    let steps = session.repeats() + WARM_UPS;
    session.measure_each("sample", batches, WARM_UPS, |subject, count| sample_step(subject, count, steps))
}

pub(super) fn measure_decoding(session: &mut Session<'_>, batches: &[usize]) -> anyhow::Result<()> {
    session.measure_each("decode", batches, WARM_UPS, |subject, count| {
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
    session.measure_each("picture", batches, 0, |subject, count| {
        draw(subject, count, 2)?;
        Ok(move || draw(subject, count, steps))
    })
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
    let mut company: Vec<&mut TextToImage<'_>> = pictures.iter_mut().collect();
    sample_pass(&subject.model, &mut company, most_rows)?;
    pictures.last().map_or(Ok(()), |picture| wait_for(picture.latents()))
}

fn decode(subject: &Subject, pictures: &[TextToImage<'_>]) -> anyhow::Result<()> {
    let pictures: Vec<&TextToImage<'_>> = pictures.iter().collect();
    let decoded = decode_pass(&subject.model, &pictures, pictures.len())?;
    Ok(decoded.into_iter().try_for_each(|picture| picture.map(drop))?)
}
