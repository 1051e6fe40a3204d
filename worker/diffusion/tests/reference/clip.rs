//! CLIP's towers on pictures and texts, in both kinds: OpenAI's and the newer one.

use burn::tensor::{FloatDType, Tensor};
use likeness_diffusion::Clip;
use likeness_diffusion::clip::{TextPooling, cosines};
use likeness_diffusion::picture::RgbPicture;

use crate::folder::{self, Tensors};

/// Another filter makes 3e-2, the other activation 5e-3, an epsilon of 1e-6 for 1e-5 still 1e-4.
const LIMIT: f64 = 1e-5;

/// Folders with a CLIP model, each with the model and the reference's values.
fn all() -> Vec<(String, Clip, Tensors, Vec<String>)> {
    let with_clip = folder::all().into_iter().filter(|folder| folder.clip().is_dir());
    let found: Vec<_> = with_clip
        .map(|folder| {
            let clip = Clip::load(&folder.clip(), &crate::device(), FloatDType::F32).unwrap();
            (folder.name.clone(), clip, folder.tensors("clip"), folder.texts("prompts"))
        })
        .collect();
    assert!(!found.is_empty(), "no reference folder has a CLIP model");
    found
}

fn pictures(values: &Tensors) -> Vec<RgbPicture> {
    let count = values.names().filter(|name| name.starts_with("picture_")).count();
    let picture = |index| {
        let picture = values.get(&format!("picture_{index}"));
        let bytes = picture.values.iter().map(|byte| *byte as u8).collect();
        RgbPicture::new(picture.shape[1] as u32, picture.shape[0] as u32, bytes).unwrap()
    };
    (0..count).map(picture).collect()
}

fn refs(texts: &[String]) -> Vec<&str> {
    texts.iter().map(String::as_str).collect()
}

#[test]
fn both_kinds_of_models_are_held() {
    let rules: Vec<TextPooling> = all().iter().map(|(_, clip, ..)| clip.config().text_pooling).collect();
    if std::env::var_os("LIKENESS_REFERENCE").is_none() {
        assert!(rules.contains(&TextPooling::HighestId), "{rules:?}");
        assert!(rules.iter().any(|rule| matches!(rule, TextPooling::First(_))), "{rules:?}");
    }
}

/// Scaled down and up, wide, high and square: every byte is Pillow's, every number the library's.
#[test]
fn pictures_are_prepared_as_the_reference_does_bit_for_bit() {
    for (name, clip, values, _) in all() {
        let pictures = pictures(&values);
        let expected = values.get("cropped");
        let found: Vec<f64> = pictures
            .iter()
            .flat_map(|picture| clip.preprocessing().cropped(picture).unwrap().pixels)
            .map(f64::from)
            .collect();
        assert_eq!(found, expected.values, "{name}: bytes differ");
        let expected = values.get("pixel_values");
        let found = clip.pixel_values(&pictures[..expected.shape[0]]).unwrap();
        let found = found.narrow(1, 0, expected.shape[1]).into_data().try_to_vec::<f32>().unwrap();
        assert!(found.iter().map(|value| f64::from(*value)).eq(expected.values.iter().copied()), "{name}");
    }
}

#[test]
fn every_layer_of_the_tower_for_pictures_is_the_reference_layer() {
    for (name, clip, values, _) in all() {
        let pixels = clip.pixel_values(&pictures(&values)[..1]).unwrap();
        let states = clip.vision_tower().hidden_states(pixels);
        assert_eq!(states.len(), values.names().filter(|name| name.starts_with("vision_hidden_")).count());
        for (index, state) in states.into_iter().enumerate() {
            let tap = format!("vision_hidden_{index}");
            values.get(&tap).check(&format!("{name} clip {tap}"), state, LIMIT);
        }
    }
}

#[test]
fn pictures_texts_and_their_cosines_are_the_references() {
    for (name, clip, values, texts) in all() {
        for (row, ids) in values.get("input_ids").ids().into_iter().enumerate() {
            assert_eq!(
                clip.tokenizer().encode(&texts[row], &[]).unwrap().ids,
                ids,
                "{name}: {:?}",
                texts[row]
            );
        }
        let images = clip.images(&pictures(&values)).unwrap();
        let texts = clip.texts(&refs(&texts)).unwrap();
        let check = |what: &str, found: Tensor<2>| {
            values.get(what).check(&format!("{name} clip {what}"), found, LIMIT)
        };
        check("image_embeds", images.clone());
        check("text_embeds", texts.clone());
        let cosines = cosines(images, texts);
        check("cosines", cosines.clone());
        check("logits_per_image", cosines * clip.logit_scale());
    }
}

/// More than go through a tower at once; none depends on those beside it.
#[test]
fn many_are_the_same_as_one_by_one() {
    let (_, clip, values, texts) = all().remove(0);
    let pictures = pictures(&values);
    let many: Vec<RgbPicture> = pictures.iter().cycle().take(37).cloned().collect();
    let (all, last) = (clip.images(&many).unwrap(), clip.images(&pictures[1..2]).unwrap());
    assert_eq!(all.dims(), [37, clip.config().projection_dim]);
    let apart = (all.narrow(0, 36, 1) - last).abs().max().into_scalar::<f32>();
    assert!(apart < 1e-5, "the last picture is {apart} off");
    let (all, last) = (clip.texts(&refs(&texts)).unwrap(), clip.texts(&[texts[35].as_str()]).unwrap());
    let apart = (all.narrow(0, 35, 1) - last).abs().max().into_scalar::<f32>();
    assert!(apart < 1e-5, "a text is {apart} off");
    assert!(clip.images(&[]).is_err() && clip.texts(&[]).is_err());
}

mod refusals {
    use std::path::Path;

    use burn::tensor::FloatDType;
    use likeness_diffusion::Clip;
    use serde_json::{Value, json};
    use tempfile::TempDir;

    use crate::folder;

    /// The model that ends texts by its own id, copied.
    fn copy() -> TempDir {
        let folder = folder::all().into_iter().rfind(|folder| folder.clip().is_dir()).unwrap();
        let target = tempfile::tempdir().unwrap();
        for entry in std::fs::read_dir(folder.clip()).unwrap() {
            let entry = entry.unwrap();
            std::fs::copy(entry.path(), target.path().join(entry.file_name())).unwrap();
        }
        target
    }

    fn assert_refused(folder: &Path, named: &[&str]) {
        let said = Clip::load(folder, &crate::device(), FloatDType::F32).unwrap_err().to_string();
        for part in named {
            assert!(said.contains(part), "{said:?} does not name {part:?}");
        }
    }

    fn set(folder: &Path, file: &str, pointer: &str, value: Value) {
        let path = folder.join(file);
        let mut config: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        *config.pointer_mut(pointer).unwrap() = value;
        std::fs::write(path, config.to_string()).unwrap();
    }

    #[test]
    fn a_missing_file_is_named() {
        let layout = "in the transformers layout";
        for (file, named) in [
            ("config.json", vec!["has no config.json", layout]),
            ("preprocessor_config.json", vec!["has no preprocessor_config.json", layout]),
            ("merges.txt", vec!["vocab.json with merges.txt nor tokenizer.json"]),
            ("model.safetensors", vec!["looked for model.safetensors"]),
        ] {
            let folder = copy();
            std::fs::remove_file(folder.path().join(file)).unwrap();
            assert_refused(folder.path(), &named);
        }
        assert_refused(Path::new("/nowhere"), &["has no config.json"]);
    }

    #[test]
    fn a_folder_of_something_else_is_told_apart() {
        let reference = folder::with_weights("text_encoder").pop().unwrap().model().join("text_encoder");
        assert_refused(
            &reference,
            &["config.json", "\"model_type\" is \"clip_text_model\"", "supported: \"clip\""],
        );
    }

    #[test]
    fn files_of_two_models_do_not_pass_for_one() {
        for (file, pointer, value, named) in [
            ("preprocessor_config.json", "/crop_size", json!(24), "cuts out 24 x 24 pixels"),
            ("config.json", "/text_config/eos_token_id", json!(5), "eos_token_id 5"),
            ("config.json", "/text_config/vocab_size", json!(9), "the text encoder 9"),
            ("config.json", "/projection_dim", json!(11), "text_projection.weight"),
            ("config.json", "/vision_config/num_hidden_layers", json!(1), "no place for"),
        ] {
            let folder = copy();
            set(folder.path(), file, pointer, value);
            assert_refused(folder.path(), &[named]);
        }
    }
}
