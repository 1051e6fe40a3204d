//! A task on the simulated device: so many pauses, and a result.

use bytes::Bytes;
use likeness_shared::limits::{DEFAULT_INVERSION_STEPS, DEFAULT_PLACEHOLDER, DEFAULT_SAMPLER_STEPS};
use likeness_shared::proto::{GenerationSpec, InversionSpec, Progress, start};

use super::artifacts;
use super::config::SimulatedConfig;
use super::state::State;
use super::trouble::Trouble;
use crate::engine::{Class, Demand, DrawnPictures, Ending, Fault, Job, Order, Side, Stage, Stepped, Work};

/// What there is to make of the steps.
enum Product {
    Person { placeholder: String },
    Pictures { prompt: String, seed: u64, count: u32 },
}

/// A task under way.
pub struct SimulatedJob {
    state: State,
    total: u32,
    trouble: Option<Trouble>,
    product: Product,
}

/// The loss that a simulated training reports: it falls.
pub(super) fn loss_after(steps: u32) -> f64 {
    1.0 / (1.0 + f64::from(steps) / 50.0)
}

impl SimulatedJob {
    /// Takes an order on, from its checkpoint where it has one.
    pub(super) fn open(config: &SimulatedConfig, order: Order) -> Result<Self, Fault> {
        let Order { number, reseed, work, checkpoint, .. } = order;
        let asked = match &work {
            Work::Inversion { spec, .. } => start_phrase(spec),
            Work::Generation { spec, .. } => &spec.prompt,
        };
        let trouble = if config.obey_faults { Trouble::in_text(asked)? } else { None };
        let (model, seed, total, product) = match work {
            Work::Inversion { spec, .. } => inversion(*spec, reseed),
            Work::Generation { spec, .. } => generation(*spec),
        };
        if !model.is_empty() && !config.models.contains(&model) {
            let known = config.models.join(", ");
            let message = format!("this worker has no model {model:?}: it has {known}");
            return Err(Fault::lasting("model_unknown", message));
        }
        let resumes = !checkpoint.is_empty() && matches!(product, Product::Person { .. });
        let state = if resumes { State::from_bytes(&checkpoint, total)? } else { State::new(&seed) };
        let trouble = trouble.filter(|trouble| trouble.happens_in(number, reseed));
        Ok(Self { state, total, trouble, product })
    }

    fn learns(&self) -> bool {
        matches!(self.product, Product::Person { .. })
    }

    /// Makes trouble, where it is time for it.
    pub(super) fn strike(&self) -> Result<(), Fault> {
        match self.trouble {
            Some(trouble) if self.state.step < self.total => trouble.strike(self.state.step + 1),
            _ => Ok(()),
        }
    }

    /// Makes the next step.
    pub(super) fn step(&mut self) -> Stepped {
        if self.state.step < self.total {
            self.state.advance();
        }
        if self.state.step >= self.total { self.ending().map(Some) } else { Ok(None) }
    }

    fn ending(&self) -> Result<Ending, Fault> {
        match &self.product {
            Product::Person { placeholder } => {
                artifacts::person(placeholder, self.total, self.state.digest).map(Ending::Learned)
            }
            Product::Pictures { prompt, seed, count } => {
                let pictures =
                    (0..*count).map(|index| artifacts::picture(prompt, seed.wrapping_add(u64::from(index))));
                let pictures = pictures.collect::<Result<_, _>>()?;
                Ok(Ending::Drawn(DrawnPictures { pictures, warnings: Vec::new() }))
            }
        }
    }
}

impl Job for SimulatedJob {
    fn demand(&self) -> Demand {
        let (side, stage) = match self.learns() {
            true => (Side::Learning, Stage::Train),
            false => (Side::Drawing, Stage::Sample),
        };
        Demand { side, stage, class: Class::default(), rows: 1 }
    }

    fn progress(&self) -> Progress {
        let step = self.state.step;
        let learns = self.learns();
        Progress {
            step,
            total_steps: self.total,
            phase: if learns { "train" } else { "sample" }.to_owned(),
            loss: if learns { loss_after(step) } else { 0.0 },
            norm_ratio: if learns { 1.0 } else { 0.0 },
            ..Progress::default()
        }
    }

    fn checkpoint(&self) -> Option<Bytes> {
        self.learns().then(|| self.state.to_bytes())
    }
}

/// The phrase that an inversion starts from; empty where it starts from something else.
fn start_phrase(spec: &InversionSpec) -> &str {
    match spec.start.as_ref().and_then(|start| start.kind.as_ref()) {
        Some(start::Kind::Face(face)) => &face.phrase,
        _ => "",
    }
}

/// Model, what the state is made of, steps, product.
fn inversion(spec: InversionSpec, reseed: u32) -> (String, Vec<u8>, u32, Product) {
    // not of the person's name: equal work has equal results
    let mut seed = spec.photo_digests.concat().into_bytes();
    seed.extend(spec.seed.to_le_bytes());
    if reseed > 0 {
        seed.extend(reseed.to_le_bytes());
    }
    let placeholder =
        if spec.placeholder.is_empty() { DEFAULT_PLACEHOLDER.to_owned() } else { spec.placeholder };
    let steps = spec.steps.unwrap_or(DEFAULT_INVERSION_STEPS);
    (spec.model, seed, steps, Product::Person { placeholder })
}

fn generation(spec: GenerationSpec) -> (String, Vec<u8>, u32, Product) {
    let count = spec.pictures.unwrap_or(1).max(1);
    let steps = spec.steps.unwrap_or(DEFAULT_SAMPLER_STEPS).saturating_mul(count);
    let product = Product::Pictures { prompt: spec.prompt, seed: spec.seed, count };
    (spec.model, Vec::new(), steps, product)
}
