//! The captions of an inversion, as token ids with the learned vectors in them.

use likeness_diffusion::stable_diffusion::StableDiffusion;
use likeness_diffusion::tokenizer::Placeholder;

use super::error::InversionError;

/// Stands for the person in captions; what the user calls him in prompts has no part in training.
const PLACEHOLDER: &str = "<learned>";

/// The ids of every caption with the K vectors in it.
pub(super) fn encode_captions(
    model: &StableDiffusion,
    templates: &[&str],
    vectors: usize,
) -> Result<Vec<Vec<u32>>, InversionError> {
    let placeholders = [Placeholder { text: PLACEHOLDER.to_owned(), vectors }];
    let vocab_size = model.tokenizer.vocab_size();
    let mut captions = Vec::with_capacity(templates.len());
    for template in templates {
        let caption = template.replace("{}", PLACEHOLDER);
        let ids = match model.tokenizer.encode(&caption, &placeholders) {
            Ok(encoded) => encoded.ids,
            Err(error) => return Err(InversionError::Caption { caption, reason: error.to_string() }),
        };
        if ids.iter().filter(|id| **id >= vocab_size).count() != vectors {
            return Err(InversionError::CaptionTooLong(template.replace("{}", "the person")));
        }
        captions.push(ids);
    }
    Ok(captions)
}
