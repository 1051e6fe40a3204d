//! Several starts, measured on the fixed batch before the first iteration: the one with the lowest loss is begun at.
//!
//! The batch is the one that [`super::watch`] judges by, and its loss is weighed as there: the same photos, latents, noise, time
//! steps and captions for every start, whose number of vectors may differ. Which one wins is a function of the task's seed,
//! its photos and the starts. Who makes the passes is the caller's affair, as with [`Inversion`].

use likeness_diffusion::schedule::NoiseSchedule;
use likeness_shared::limits::MAX_BATCH_SIZE;

use super::error::InversionError;
use super::material::Material;
use super::run::Inversion;
use super::training_pass::RowOutcome;
use super::training_step::TrainingBatch;

/// Starts of one inversion and their losses so far.
pub struct Comparison<'m> {
    material: Material<'m>,
    candidates: Vec<Candidate>,
    /// Of the first candidates, in their order.
    losses: Vec<f64>,
}

struct Candidate {
    start: Vec<Vec<f32>>,
    /// What the start is to the model under the parameterisation: those of `sphere` have another length.
    vectors: Vec<Vec<f32>>,
    captions: Vec<Vec<u32>>,
}

impl<'m> Comparison<'m> {
    /// Of these starts, each K x D. Of equally good ones the earlier wins, and the first where no loss is a number.
    pub fn new(material: Material<'m>, starts: Vec<Vec<Vec<f32>>>) -> Result<Self, InversionError> {
        let candidate = |start: Vec<Vec<f32>>| {
            let captions = material.captions(start.len())?;
            let vectors = material.begin(start.clone())?.vectors();
            Ok(Candidate { start, vectors, captions })
        };
        let candidates = starts.into_iter().map(candidate).collect::<Result<_, InversionError>>()?;
        Ok(Self { material, candidates, losses: Vec::new() })
    }

    /// The fixed batch for each of the next starts, with its vectors, to be measured without gradients; empty once all have
    /// been. As many as have no more rows together than the largest iteration, so that no pass gets long.
    pub fn next_batches(&self) -> Vec<(TrainingBatch, &[Vec<f32>])> {
        let rows = self.material.draws.watch();
        let batch = |candidate: &Candidate| self.material.batch(&candidate.captions, &rows);
        self.due().iter().map(|candidate| (batch(candidate), candidate.vectors.as_slice())).collect()
    }

    /// How many rows [`Comparison::next_batches`] has.
    pub fn rows(&self) -> u32 {
        u32::try_from(self.due().len()).unwrap_or(u32::MAX).saturating_mul(self.material.draws.rows)
    }

    /// Takes what the rows of [`Comparison::next_batches`] made, start by start.
    pub fn absorb(&mut self, outcomes: &[Vec<RowOutcome>]) {
        let due = self.due().len();
        let losses = outcomes.iter().take(due).map(|rows| self.material.watch_loss(rows));
        let losses: Vec<f64> = losses.collect();
        self.losses.extend(losses);
    }

    /// Whether every start has been measured.
    pub fn is_finished(&self) -> bool {
        self.losses.len() >= self.candidates.len()
    }

    /// The loss of each start measured so far.
    pub fn losses(&self) -> &[f64] {
        &self.losses
    }

    /// The noise schedule of its model.
    pub fn schedule(&self) -> &NoiseSchedule {
        &self.material.schedule
    }

    /// The inversion from the best of the starts that have been measured.
    pub fn into_inversion(mut self) -> Result<Inversion<'m>, InversionError> {
        let finite = self.losses.iter().enumerate().filter(|(_, loss)| loss.is_finite());
        let best = finite.min_by(|(_, a), (_, b)| a.total_cmp(b)).map_or(0, |(index, _)| index);
        let start = self.candidates.get_mut(best).map(|candidate| std::mem::take(&mut candidate.start));
        Inversion::of(self.material, start.unwrap_or_default())
    }

    fn due(&self) -> &[Candidate] {
        let at_once = (MAX_BATCH_SIZE / self.material.draws.rows.max(1)).max(1) as usize;
        let rest = self.candidates.get(self.losses.len()..).unwrap_or_default();
        rest.get(..at_once).unwrap_or(rest)
    }
}
