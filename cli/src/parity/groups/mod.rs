//! One file a group of tensors.

mod backward;
mod clip;
mod coarse_training;
mod files;
mod inputs;
mod learned;
mod random;
mod samplers;
mod schedules;
mod text;
mod tokenizer;
mod training;
mod trajectories;
mod unet;
mod vae;

use likeness_diffusion::stable_diffusion::StableDiffusion;

use super::reference::Reference;
use super::report::Report;
use super::subject::Subject;

/// How a group is compared. An error is a failure of its group.
type Check = fn(&Reference, &Subject, &mut Report) -> anyhow::Result<()>;

/// Every group, in the order of the path from words to a picture.
pub(crate) const ALL: [(&str, Check); 14] = [
    ("files", files::check),
    ("random", random::check),
    ("tokenizer", tokenizer::check),
    ("text", text::check),
    ("vae", vae::check),
    ("unet", unet::check),
    ("unet_backward", backward::check),
    ("schedulers", schedules::check),
    ("samplers", samplers::check),
    ("gen_inputs", inputs::check),
    ("trajectories", trajectories::check),
    ("training", training::check),
    ("learned", learned::check),
    ("clip", clip::check),
];

/// The model, or a row that says why there is none.
fn model<'s>(subject: &'s Subject, report: &mut Report) -> Option<&'s StableDiffusion> {
    if subject.model().is_none() {
        report.absent("everything", "the weights are left out of this folder");
    }
    subject.model()
}
