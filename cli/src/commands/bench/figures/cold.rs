//! The first steps of a process, in which kernels are compiled and tuned, and the second ones, in which they are not.
//!
//! A step is cold once in a process, so each is measured once. The first sampler step comes after the training steps and finds
//! compiled what they share; its figure is the time to load the model and its own.

use std::time::{Duration, Instant};

use super::super::gauge::Gauge;
use super::super::report::Row;
use super::super::session::Session;
use super::super::timing::{guarded, timed};
use super::sample_step;
use super::train::train_step;

pub(super) fn measure(session: &mut Session<'_>, batch: usize, loaded: Duration) -> anyhow::Result<()> {
    let subject = session.subject;
    two_steps(session, ["cold_train", "second_train"], batch, loaded, || train_step(subject, batch))?;
    two_steps(session, ["cold_sample", "second_sample"], batch, loaded, || sample_step(subject, batch, 2))
}

fn two_steps<W>(
    session: &mut Session<'_>,
    [first, second]: [&'static str; 2],
    batch: usize,
    loaded: Duration,
    make: impl FnOnce() -> anyhow::Result<W>,
) -> anyhow::Result<()>
where
    W: FnMut() -> anyhow::Result<()>,
{
    let device = session.subject.model.device();
    let mut gauge = Gauge::begin(device);
    let times = guarded(|| {
        let before = Instant::now();
        let mut work = make()?;
        let made_ready = before.elapsed();
        let cold = loaded + made_ready + timed(device, &mut work)?;
        let warm = timed(device, &mut work)?;
        gauge.look(device);
        Ok((cold, warm))
    });
    let rows = match times {
        Ok((cold, warm)) => [(first, cold), (second, warm)]
            .map(|(what, time)| Row::of_times(what, batch, &[time], gauge.peak())),
        Err(trouble) => [first, second].map(|what| Row::of_trouble(what, batch, &trouble)),
    };
    rows.into_iter().try_for_each(|row| session.record(row))
}
