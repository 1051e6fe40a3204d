//! A training step of one user: forward, backward to the vectors, Adam.

use likeness_worker::inversion::training_pass::{Member, Want, training_pass};

use super::super::session::Session;
use super::super::subject::Subject;
use super::super::timing::WARM_UPS;

pub(super) fn measure(session: &mut Session<'_>, batches: &[usize]) -> anyhow::Result<()> {
    session.measure_each("train", batches, WARM_UPS, train_step)
}

/// Steps of so many rows.
pub(in super::super) fn train_step(
    subject: &Subject,
    rows: usize,
) -> anyhow::Result<impl FnMut() -> anyhow::Result<()>> {
    let mut learner = subject.learner(rows, 1)?;
    Ok(move || {
        let member = Member { batch: &learner.batch, vectors: &learner.vectors };
        let outcomes = training_pass(&subject.model, &subject.schedule, &[member], Want::Gradients, rows)?;
        outcomes.iter().for_each(|rows| learner.learn(rows));
        Ok(())
    })
}
