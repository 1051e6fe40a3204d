//! Checks a [`GenerationSpec`] and writes its defaults into it.

use super::{
    Checks, DEFAULT_GUIDANCE_SCALE, DEFAULT_SAMPLER_STEPS, MAX_BOUND_PEOPLE, MAX_GUIDANCE_SCALE,
    MAX_PICTURE_SIDE, MAX_PICTURES, MAX_PROMPT_BYTES, MAX_SAMPLER_STEPS, MIN_PICTURE_SIDE,
};
use crate::ids::PersonId;
use crate::proto::{GenerationSpec, Sampler};

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
    checks.whole("spec.steps", *spec.steps.get_or_insert(DEFAULT_SAMPLER_STEPS), 1..=MAX_SAMPLER_STEPS);
    let guidance = *spec.guidance_scale.get_or_insert(DEFAULT_GUIDANCE_SCALE);
    checks.within("spec.guidance_scale", guidance, 1.0, MAX_GUIDANCE_SCALE);
    for (field, side) in [("spec.width", spec.width), ("spec.height", spec.height)] {
        if let Some(side) = side {
            checks.whole(field, side, MIN_PICTURE_SIDE..=MAX_PICTURE_SIDE);
        }
    }
    spec
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
