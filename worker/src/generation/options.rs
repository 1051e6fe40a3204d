//! What a generation is asked to draw.

use likeness_diffusion::samplers::SamplerKind;
use likeness_diffusion::stable_diffusion::StableDiffusion;
use likeness_shared::limits;

use super::init_image::InitImage;

/// A learned person in a prompt.
#[derive(Clone, Debug, PartialEq)]
pub struct Person {
    /// The text that stands for the person in the prompt.
    pub placeholder: String,
    /// Who it is, for the picture's metadata: an id or a file name; may be empty.
    pub id: String,
    /// The learned vectors, K x D.
    pub vectors: Vec<Vec<f32>>,
}

/// One picture.
#[derive(Clone, Debug, PartialEq)]
pub struct GenerationOptions {
    /// What to draw.
    pub prompt: String,
    /// What to stay away from.
    pub negative_prompt: String,
    /// Who stands behind which placeholder.
    pub persons: Vec<Person>,
    /// Seed of the first latents: torch's numbers for this seed.
    pub seed: u64,
    /// The way from noise to picture.
    pub sampler: SamplerKind,
    /// Sampler steps, 1..=1000.
    pub steps: u32,
    /// Classifier-free guidance; 1 = off.
    pub guidance_scale: f64,
    /// Width in pixels; `None` = the model's own.
    pub width: Option<u32>,
    /// Height in pixels; `None` = the model's own.
    pub height: Option<u32>,
    /// The picture to begin at; `None` = noise alone.
    pub init_image: Option<InitImage>,
}

impl Default for GenerationOptions {
    fn default() -> Self {
        Self {
            prompt: String::new(),
            negative_prompt: String::new(),
            persons: Vec::new(),
            seed: 0,
            sampler: SamplerKind::Ddim,
            steps: 50,
            guidance_scale: 7.5,
            width: None,
            height: None,
            init_image: None,
        }
    }
}

/// Why a picture cannot be drawn.
#[derive(Debug, thiserror::Error)]
pub enum GenerationError {
    /// Too few or too many steps.
    #[error("steps is {0}: give 1 to 1000")]
    Steps(u32),
    /// Guidance that means nothing.
    #[error("guidance_scale is {0}: give a finite number of at least 1 (1 = no guidance), such as 7.5")]
    Guidance(f64),
    /// A strength that means nothing, or leaves no step.
    #[error(
        "strength is {strength} of {steps} steps: give a number above 0 and at most 1 that leaves a whole step, such as 0.8"
    )]
    Strength {
        /// The strength.
        strength: f64,
        /// Sampler steps.
        steps: u32,
    },
    /// A side that is no whole number of latent pixels (the UNet takes any number of them), or too long.
    #[error(
        "{side} is {pixels} pixels: this model needs a multiple of {multiple} (such as {suggestion}), at most {most}"
    )]
    Size {
        /// "width" or "height".
        side: &'static str,
        /// What was asked for.
        pixels: u32,
        /// What it must be a multiple of.
        multiple: u32,
        /// The nearest size that works.
        suggestion: u32,
        /// The largest size.
        most: u32,
    },
    /// A person without a placeholder.
    #[error("a person without a placeholder cannot stand in a prompt: name one, such as \"sks\"")]
    NoPlaceholder,
    /// Two persons behind one placeholder.
    #[error("two people stand behind the placeholder {0:?}: give each his own")]
    SamePlaceholder(String),
    /// A person of another family of models.
    #[error(
        "the vectors of {placeholder:?} are {found} wide, the model's token vectors {expected}: use a person learned on a model of this family"
    )]
    Width {
        /// Whose vectors.
        placeholder: String,
        /// Width they have.
        found: usize,
        /// Width they need.
        expected: usize,
    },
    /// A person without vectors.
    #[error("the person behind {0:?} has no vectors")]
    NoVectors(String),
    /// The prompt.
    #[error("the {which} cannot be tokenized: {reason}")]
    Prompt {
        /// "prompt" or "negative prompt".
        which: &'static str,
        /// What the tokenizer or the text encoder said.
        reason: String,
    },
    /// The sampler.
    #[error("the sampler cannot be used: {0}")]
    Sampler(String),
    /// All steps are made, or some are not yet.
    #[error("{made} of {total} steps are made: {wanted}")]
    Order {
        /// Steps made.
        made: usize,
        /// Steps in all.
        total: usize,
        /// What was wanted.
        wanted: &'static str,
    },
    /// The picture is not made of numbers.
    #[error(
        "the picture has values that are not finite: use another seed or less guidance, or run the model in f32"
    )]
    NotFinite,
    /// The device or the picture's form.
    #[error("the picture could not be read from the device: {0}")]
    Picture(String),
}

impl GenerationError {
    /// A stable word for the kind of error, as tasks report it.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Steps(_) | Self::Guidance(_) | Self::Strength { .. } | Self::Sampler(_) => "bad_options",
            Self::Size { .. } => "bad_size",
            Self::NoPlaceholder | Self::SamePlaceholder(_) | Self::Width { .. } | Self::NoVectors(_) => {
                "bad_person"
            }
            Self::Prompt { .. } => "bad_prompt",
            Self::NotFinite => "not_finite",
            Self::Order { .. } | Self::Picture(_) => "internal",
        }
    }
}

/// The longest side that is drawn, in pixels.
pub const MAX_SIDE: u32 = limits::MAX_PICTURE_SIDE;

impl GenerationOptions {
    /// Refuses what `model` cannot draw, naming the first trouble.
    pub fn validate(&self, model: &StableDiffusion) -> Result<(), GenerationError> {
        if !(1..=1000).contains(&self.steps) {
            return Err(GenerationError::Steps(self.steps));
        }
        if !(self.guidance_scale.is_finite() && self.guidance_scale >= 1.0) {
            return Err(GenerationError::Guidance(self.guidance_scale));
        }
        if let Some(image) = &self.init_image {
            image.check(self.steps)?;
        }
        let (width, height) = self.size(model);
        let multiple = model.vae_factor();
        check_side("width", width, multiple)?;
        check_side("height", height, multiple)?;
        self.check_persons(model.text_encoder.width())
    }

    /// Width and height in pixels.
    pub fn size(&self, model: &StableDiffusion) -> (u32, u32) {
        let (width, height) = model.native_size();
        (self.width.unwrap_or(width), self.height.unwrap_or(height))
    }

    /// Steps that are made: all, or over an init image the last ones.
    pub fn steps_made(&self) -> u32 {
        let strength = self.init_image.as_ref().map_or(1.0, InitImage::strength);
        limits::steps_made(self.steps, strength)
    }

    fn check_persons(&self, expected: usize) -> Result<(), GenerationError> {
        for (index, person) in self.persons.iter().enumerate() {
            let placeholder = &person.placeholder;
            if placeholder.trim().is_empty() {
                return Err(GenerationError::NoPlaceholder);
            }
            if self.persons.iter().take(index).any(|other| other.placeholder == *placeholder) {
                return Err(GenerationError::SamePlaceholder(placeholder.clone()));
            }
            if person.vectors.is_empty() {
                return Err(GenerationError::NoVectors(placeholder.clone()));
            }
            if let Some(found) = person.vectors.iter().map(Vec::len).find(|width| *width != expected) {
                return Err(GenerationError::Width { placeholder: placeholder.clone(), found, expected });
            }
        }
        Ok(())
    }
}

fn check_side(side: &'static str, pixels: u32, multiple: u32) -> Result<(), GenerationError> {
    let multiple = multiple.max(1);
    if pixels > 0 && pixels <= MAX_SIDE && pixels.is_multiple_of(multiple) {
        return Ok(());
    }
    let most = MAX_SIDE / multiple * multiple;
    let nearest = (pixels.saturating_add(multiple / 2) / multiple).max(1).saturating_mul(multiple);
    Err(GenerationError::Size { side, pixels, multiple, suggestion: nearest.min(most), most })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_side_that_does_not_fit_is_told_the_nearest_that_does() {
        assert!(check_side("width", 512, 64).is_ok());
        let refused = check_side("width", 500, 64).unwrap_err().to_string();
        assert!(
            refused.contains("width is 500") && refused.contains("multiple of 64 (such as 512)"),
            "{refused}"
        );
        for (pixels, expected) in [(0, 64), (1, 64), (100, 128), (90_000, 2048)] {
            let Err(GenerationError::Size { suggestion, .. }) = check_side("height", pixels, 64) else {
                panic!("{pixels} was accepted");
            };
            assert_eq!(suggestion, expected);
        }
    }

    #[test]
    fn people_need_placeholders_of_their_own_and_vectors_of_the_models_width() {
        let person = |placeholder: &str, width: usize| Person {
            placeholder: placeholder.to_owned(),
            id: String::new(),
            vectors: vec![vec![0.0; width]; 2],
        };
        let check = |persons: Vec<Person>| {
            GenerationOptions { persons, ..GenerationOptions::default() }.check_persons(32)
        };
        assert!(check(vec![person("sks", 32), person("zwx", 32)]).is_ok());
        assert!(matches!(
            check(vec![person("sks", 32), person("sks", 32)]),
            Err(GenerationError::SamePlaceholder(_))
        ));
        assert!(matches!(check(vec![person(" ", 32)]), Err(GenerationError::NoPlaceholder)));
        let refused = check(vec![person("sks", 768)]).unwrap_err().to_string();
        assert!(refused.contains("768 wide") && refused.contains("32"), "{refused}");
    }
}
