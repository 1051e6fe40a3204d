//! What is drawn of every name.

use clap::Args;
use likeness_diffusion::samplers::SamplerKind;
use likeness_faces::bank::{NAME_PLACE, NetworksUsed, Recipe};
use likeness_shared::limits::{
    DEFAULT_GUIDANCE_SCALE, DEFAULT_SAMPLER_STEPS, MAX_PICTURES, MAX_SAMPLER_STEPS,
};

use crate::arguments::{guidance, whole_number};

/// Options that decide what portraits look like.
#[derive(Debug, Args)]
#[command(next_help_heading = "Portraits")]
pub(super) struct DrawingArguments {
    /// Portraits of each name, 4 to 64.
    #[arg(long, allow_hyphen_values = true, default_value_t = 8, value_parser = |text: &str| whole_number(text, 4, MAX_PICTURES), value_name = "N")]
    portraits: u32,
    /// What is drawn; {name} is the name.
    #[arg(long, default_value = "a photo of {name}", value_parser = prompt)]
    prompt: String,
    /// What to stay away from.
    #[arg(long, default_value = "", hide_default_value = true, value_name = "PROMPT")]
    negative_prompt: String,
    /// Seed of each name's first portrait; the next ones count on from it.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// The way from noise to picture: ddim, pndm, euler or dpmpp.
    #[arg(long, default_value_t = SamplerKind::Ddim)]
    pub(super) sampler: SamplerKind,
    /// Steps of the sampler, 1 to 1000.
    #[arg(long, allow_hyphen_values = true, default_value_t = DEFAULT_SAMPLER_STEPS, value_parser = |text: &str| whole_number(text, 1, MAX_SAMPLER_STEPS), value_name = "N")]
    steps: u32,
    /// How strongly the prompt rules (classifier-free guidance); 1 = off.
    #[arg(long, allow_hyphen_values = true, default_value_t = DEFAULT_GUIDANCE_SCALE, value_parser = guidance, value_name = "SCALE")]
    guidance: f64,
}

fn prompt(text: &str) -> Result<String, String> {
    if text.contains(NAME_PLACE) { Ok(text.to_owned()) } else { Err(format!("must have {NAME_PLACE} in it")) }
}

impl DrawingArguments {
    /// The recipe, with a model (empty = not known yet) and networks.
    pub(super) fn recipe(&self, model_digest: String, networks: NetworksUsed) -> Recipe {
        Recipe {
            model_digest,
            networks,
            prompt: self.prompt.clone(),
            negative_prompt: self.negative_prompt.clone(),
            portraits: self.portraits,
            seed: self.seed,
            sampler: self.sampler.to_string(),
            steps: self.steps,
            guidance_scale: self.guidance,
        }
    }
}
