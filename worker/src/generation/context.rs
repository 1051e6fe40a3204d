//! A prompt as the UNet hears it: the text encoder's output for the negative prompt and the prompt, with
//! the persons' vectors at their placeholders. With it goes what else all pictures of the prompt share: the init
//! image, encoded.

use burn::tensor::{Tensor, TensorData};
use likeness_diffusion::stable_diffusion::StableDiffusion;
use likeness_diffusion::tokenizer::{EncodedPrompt, Placeholder};

use super::init_image::EncodedImage;
use super::on_device::wait_for;
use super::options::{GenerationError, GenerationOptions};

/// The context of one prompt; the same for every picture of it.
#[derive(Clone, Debug)]
pub struct PromptContext {
    /// `[2, L, D]` in the order [uncond, cond]; `[1, L, D]`, cond alone, without guidance.
    pub hidden_states: Tensor<3>,
    /// What the caller should know: truncated prompts, persons that do not occur.
    pub warnings: Vec<String>,
    /// The init image, where the pictures begin at one.
    pub init_image: Option<EncodedImage>,
}

impl PromptContext {
    /// Encodes prompt, negative prompt and init image.
    pub fn new(model: &StableDiffusion, options: &GenerationOptions) -> Result<Self, GenerationError> {
        options.validate(model)?;
        let placeholders: Vec<Placeholder> = options
            .persons
            .iter()
            .map(|person| Placeholder { text: person.placeholder.clone(), vectors: person.vectors.len() })
            .collect();
        let mut warnings = Vec::new();
        let mut rows = Vec::new();
        if options.guidance_scale > 1.0 {
            rows.push(encode(
                model,
                "negative prompt",
                &options.negative_prompt,
                &placeholders,
                &mut warnings,
            )?);
        }
        let prompt = encode(model, "prompt", &options.prompt, &placeholders, &mut warnings)?;
        warn_of_absent_persons(model, options, &prompt, &mut warnings);
        rows.push(prompt);
        let ids: Vec<Vec<u32>> = rows.into_iter().map(|row| row.ids).collect();
        let embeddings = model
            .text_encoder
            .embed(&ids, learned_rows(model, options))
            .map_err(|error| GenerationError::Prompt { which: "prompt", reason: error.to_string() })?;
        let size = options.size(model);
        let init_image = options.init_image.as_ref().map(|image| EncodedImage::new(model, image, size));
        let hidden_states = model.text_encoder.forward(embeddings);
        wait_for(model, &hidden_states);
        Ok(Self { hidden_states, warnings, init_image })
    }
}

/// All persons' vectors, one under the other, in the order of their placeholders.
fn learned_rows(model: &StableDiffusion, options: &GenerationOptions) -> Option<Tensor<2>> {
    let width = model.text_encoder.width();
    let flat: Vec<f32> =
        options.persons.iter().flat_map(|person| &person.vectors).flatten().copied().collect();
    let rows = flat.len() / width.max(1);
    (rows > 0).then(|| Tensor::<2>::from_data(TensorData::new(flat, [rows, width]), model.device()))
}

fn encode(
    model: &StableDiffusion,
    which: &'static str,
    text: &str,
    placeholders: &[Placeholder],
    warnings: &mut Vec<String>,
) -> Result<EncodedPrompt, GenerationError> {
    let encoded = model
        .tokenizer
        .encode(text, placeholders)
        .map_err(|error| GenerationError::Prompt { which, reason: error.to_string() })?;
    if let Some(cut) = &encoded.cut {
        warnings.push(format!(
            "the {which} has {} tokens and the model reads {}: this was cut off: {cut:?}",
            encoded.untruncated_len,
            model.tokenizer.max_length(),
        ));
    }
    Ok(encoded)
}

fn warn_of_absent_persons(
    model: &StableDiffusion,
    options: &GenerationOptions,
    prompt: &EncodedPrompt,
    warnings: &mut Vec<String>,
) {
    let mut first_id = model.tokenizer.vocab_size();
    for person in &options.persons {
        if !prompt.ids.contains(&first_id) {
            warnings.push(format!(
                "the prompt does not mention {:?}: the person is not in the picture",
                person.placeholder
            ));
        }
        first_id += u32::try_from(person.vectors.len()).unwrap_or(u32::MAX);
    }
}
