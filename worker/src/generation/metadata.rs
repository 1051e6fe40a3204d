//! What a picture's file says about how it was made, so that it can be made again.

use super::options::GenerationOptions;

/// Keyword and text of each chunk. Persons appear by id and placeholder, never by what they were learned
/// from, and an init image by the sha256 of its file.
pub fn metadata(options: &GenerationOptions, size: (u32, u32), model_digest: &str) -> Vec<(String, String)> {
    let (width, height) = size;
    let mut chunks = vec![
        ("Software", format!("likeness {}", env!("CARGO_PKG_VERSION"))),
        ("prompt", options.prompt.clone()),
        ("negative_prompt", options.negative_prompt.clone()),
        ("seed", options.seed.to_string()),
        ("sampler", options.sampler.to_string()),
        ("steps", options.steps.to_string()),
        ("guidance_scale", options.guidance_scale.to_string()),
        ("size", format!("{width}x{height}")),
        ("model_digest", model_digest.to_owned()),
    ];
    if !options.persons.is_empty() {
        let people: Vec<String> =
            options.persons.iter().map(|person| format!("{}={}", person.placeholder, person.id)).collect();
        chunks.push(("people", people.join(", ")));
    }
    if let Some(image) = &options.init_image {
        chunks.push(("init_image", image.digest().to_string()));
        chunks.push(("strength", image.strength().to_string()));
    }
    chunks.into_iter().map(|(keyword, text)| (keyword.to_owned(), text)).collect()
}

#[cfg(test)]
mod tests {
    use likeness_diffusion::picture::RgbPicture;
    use likeness_shared::ids::Digest;

    use super::super::init_image::InitImage;
    use super::super::options::Person;
    use super::*;

    #[test]
    fn a_picture_says_how_to_make_it_again() {
        let persons = vec![Person { placeholder: "sks".into(), id: "01J".into(), vectors: vec![] }];
        let options =
            GenerationOptions { prompt: "sks".into(), seed: 9, persons, ..GenerationOptions::default() };
        let chunks = metadata(&options, (64, 96), "abc");
        let text = |keyword: &str| chunks.iter().find(|(k, _)| k == keyword).map(|(_, text)| text.as_str());
        assert_eq!(text("seed"), Some("9"));
        assert_eq!(text("sampler"), Some("ddim"));
        assert_eq!(text("guidance_scale"), Some("7.5"));
        assert_eq!(text("size"), Some("64x96"));
        assert_eq!(text("model_digest"), Some("abc"));
        assert_eq!(text("people"), Some("sks=01J"));
        assert_eq!((text("init_image"), text("strength")), (None, None));
    }

    #[test]
    fn a_picture_drawn_over_another_says_over_which() {
        let file = RgbPicture::new(2, 1, vec![200; 6]).unwrap().to_png(&[]).unwrap();
        let init_image = Some(InitImage::read(&file, 0.6).unwrap());
        let options = GenerationOptions { init_image, ..GenerationOptions::default() };
        let chunks = metadata(&options, (64, 64), "abc");
        assert!(chunks.contains(&("init_image".to_owned(), Digest::of(&file).to_string())), "{chunks:?}");
        assert!(chunks.contains(&("strength".to_owned(), "0.6".to_owned())), "{chunks:?}");
    }
}
