//! Checks a [`GenerationSpec`] and writes its defaults into it.

use super::{
    Checks, DEFAULT_GUIDANCE_SCALE, DEFAULT_SAMPLER_STEPS, DEFAULT_STRENGTH, MAX_BOUND_PEOPLE,
    MAX_GUIDANCE_SCALE, MAX_PICTURE_SIDE, MAX_PICTURES, MAX_PROMPT_BYTES, MAX_SAMPLER_STEPS,
    MIN_PICTURE_SIDE,
};
use crate::ids::{Digest, PersonId};
use crate::proto::{GenerationSpec, InitImage, Sampler};

/// The spec with every unset field at its documented default; what cannot be accepted is noted in `checks` under
/// `spec.`. Model name and size stay unset where the model's own are meant.
pub fn fill_generation(spec: Option<GenerationSpec>, checks: &mut Checks) -> GenerationSpec {
    let Some(mut spec) = spec else {
        checks.refuse("spec", "is missing: say what to draw");
        return GenerationSpec::default();
    };
    checks.model("spec.model", &spec.model);
    checks.prose("spec.prompt", &spec.prompt, MAX_PROMPT_BYTES);
    checks.prose("spec.negative_prompt", &spec.negative_prompt, MAX_PROMPT_BYTES);
    check_people(&spec, checks);

    let pictures = *spec.pictures.get_or_insert(1);
    checks.whole("spec.pictures", pictures, 1..=MAX_PICTURES);
    let seeds_fit = spec.seed.checked_add(u64::from(pictures.saturating_sub(1))).is_some();
    checks.require(seeds_fit, "spec.seed", || "the last picture's seed would pass 2^64".to_owned());
    match Sampler::try_from(spec.sampler) {
        Ok(Sampler::Unspecified) => spec.set_sampler(Sampler::Ddim),
        Ok(_) => {}
        Err(_) => {
            let description =
                format!("{} is not a sampler: use DDIM (1), PNDM (2), EULER (3) or DPMPP (4)", spec.sampler);
            checks.refuse("spec.sampler", description);
        }
    }
    let steps = *spec.steps.get_or_insert(DEFAULT_SAMPLER_STEPS);
    checks.whole("spec.steps", steps, 1..=MAX_SAMPLER_STEPS);
    let guidance = *spec.guidance_scale.get_or_insert(DEFAULT_GUIDANCE_SCALE);
    checks.within("spec.guidance_scale", guidance, 1.0, MAX_GUIDANCE_SCALE);
    for (field, side) in [("spec.width", spec.width), ("spec.height", spec.height)] {
        if let Some(side) = side {
            checks.whole(field, side, MIN_PICTURE_SIDE..=MAX_PICTURE_SIDE);
        }
    }
    if let Some(init_image) = &mut spec.init_image {
        fill_init_image(init_image, steps, checks);
    }
    spec
}

/// How many of a sampler's `steps` are made over an init image: `int(steps * strength)`, the last ones.
#[must_use]
pub fn steps_made(steps: u32, strength: f64) -> u32 {
    ((f64::from(steps) * strength) as u32).min(steps)
}

fn fill_init_image(init_image: &mut InitImage, steps: u32, checks: &mut Checks) {
    checks.parse::<Digest>("spec.init_image.artifact_digest", &init_image.artifact_digest);
    let field = "spec.init_image.strength";
    let strength = *init_image.strength.get_or_insert(DEFAULT_STRENGTH);
    checks.above(field, strength, 0.0, 1.0);
    // what is out of range has its own violation
    let makes_none = strength > 0.0 && steps > 0 && steps_made(steps, strength) == 0;
    checks.require(!makes_none, field, || {
        format!("{strength} of {steps} steps is not one whole step: raise the strength or the steps")
    });
}

fn check_people(spec: &GenerationSpec, checks: &mut Checks) {
    checks.require(spec.people.len() <= MAX_BOUND_PEOPLE, "spec.people", || {
        format!("at most {MAX_BOUND_PEOPLE} people in a picture, not {}", spec.people.len())
    });
    for (index, binding) in spec.people.iter().enumerate().take(MAX_BOUND_PEOPLE) {
        checks.parse::<PersonId>(&format!("spec.people[{index}].person_id"), &binding.person_id);
        if !binding.placeholder.is_empty() {
            checks.placeholder(&format!("spec.people[{index}].placeholder"), &binding.placeholder);
        }
    }
}
