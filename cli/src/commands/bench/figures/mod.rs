//! The kinds of work, in the order in which they are measured: what is cold first.

mod cold;
mod draw;
mod encode;
mod text;
pub(super) mod train;
mod users;

use std::time::Duration;

pub(super) use draw::sample_step;

use super::session::Session;
use super::{BenchArguments, Part};

/// Measures what was asked for. `loaded` is the time from the program's start until the model was on the device.
pub(super) fn measure(
    session: &mut Session<'_>,
    options: &BenchArguments,
    loaded: Duration,
) -> anyhow::Result<()> {
    let batches = &options.batches;
    if options.wants(Part::Cold) {
        cold::measure(session, batches.first().copied().unwrap_or(1), loaded)?;
    }
    if options.wants(Part::Text) {
        text::measure(session, batches)?;
    }
    if options.wants(Part::Train) {
        train::measure(session, batches)?;
    }
    if options.wants(Part::Users) {
        users::measure(session, &options.rows_each)?;
    }
    if options.wants(Part::Sample) {
        draw::measure_samples(session, batches)?;
    }
    if options.wants(Part::Encode) {
        encode::measure(session, batches)?;
    }
    if options.wants(Part::Decode) {
        draw::measure_decoding(session, batches)?;
    }
    if options.wants(Part::Picture) {
        draw::measure_pictures(session, batches, options.steps)?;
    }
    Ok(())
}
