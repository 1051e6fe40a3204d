//! The text encoder.

use burn::tensor::Tensor;
use likeness_diffusion::text_encoder::TextConfig;
use likeness_diffusion::{TextEncoder, TextError};

use crate::{folder, load};

/// The tanh approximation of GELU alone would be an error of 1.5e-4.
const LIMIT: f64 = 5e-5;

pub(crate) fn open(folder: &folder::Folder) -> TextEncoder {
    let part = folder.model().join("text_encoder");
    let config = TextConfig::read(&part.join("config.json")).unwrap();
    load(part.join("model.safetensors"), |weights| TextEncoder::load(weights, &config)).unwrap()
}

#[test]
fn prompts_become_the_reference_contexts() {
    for folder in folder::with_weights("text_encoder") {
        let encoder = open(&folder);
        let text = folder.tensors("text");
        let ids = text.get("input_ids").ids();
        let context = encoder.forward(encoder.embed(&ids, None).unwrap());
        let name = |what: &str| format!("{} text {what}", folder.name);
        text.get("last_hidden_state_sum").check(
            &name("last_hidden_state_sum"),
            context.clone().sum_dim(1).squeeze_dim::<2>(1),
            LIMIT,
        );
        text.get("last_hidden_state_absmean").check(
            &name("last_hidden_state_absmean"),
            context.clone().abs().mean_dim(1).squeeze_dim::<2>(1),
            LIMIT,
        );
        let full = context.narrow(0, 0, 8);
        text.get("last_hidden_state").check(&name("last_hidden_state"), full, LIMIT);
    }
}

/// Rows 2 and, where kept, 3 show every layer before the final normalisation.
#[test]
fn every_layer_is_the_reference_layer() {
    let mut seen = 0;
    for folder in folder::with_weights("text_encoder") {
        let encoder = open(&folder);
        let text = folder.tensors("text");
        let Some(first) = text.find("hidden_0") else { continue };
        let ids = &text.get("input_ids").ids()[2..2 + first.shape[0]];
        let states = encoder.hidden_states(encoder.embed(ids, None).unwrap());
        assert_eq!(states.len(), text.names().filter(|name| name.starts_with("hidden_")).count());
        for (index, state) in states.into_iter().enumerate() {
            let name = format!("hidden_{index}");
            text.get(&name).check(&format!("{} text {name}", folder.name), state, LIMIT);
            seen += 1;
        }
    }
    assert!(seen > 0, "no reference folder shows hidden states");
}

#[test]
fn learned_rows_take_part() {
    for folder in folder::with_weights("text_encoder") {
        let encoder = open(&folder);
        let generation = folder.tensors("ti_generation");
        let learned = generation.get("embedding").tensor::<2>();
        let ids = generation.get("cond_ids").ids();
        let context = encoder.forward(encoder.embed(&ids, Some(learned)).unwrap());
        generation.get("cond").check(&format!("{} text with learned rows", folder.name), context, LIMIT);
    }
}

/// Weights are constants: without learned rows nothing is tracked, and with them the gradient is theirs.
#[test]
fn a_gradient_flows_to_the_learned_rows_alone() {
    for folder in folder::with_weights("text_encoder") {
        let encoder = open(&folder);
        let vocabulary = encoder.config().vocab_size as u32;
        let ids = [vec![1, 2, vocabulary + 1, 3], vec![4, vocabulary, 5, 6]];
        let rows = encoder.embedding_rows(&[7, 8, 9]).unwrap();

        let plain = encoder.forward(encoder.embed(&ids, Some(rows.clone())).unwrap());
        assert!(!plain.device().is_autodiff(), "a weight is on an autodiff device");

        let learned = rows.autodiff().require_grad();
        let context = encoder.forward(encoder.embed(&ids, Some(learned.clone())).unwrap());
        assert_eq!(context.clone().inner().into_data(), plain.into_data());
        let gradients = context.square().sum().backward();
        let gradient = learned.grad(&gradients).unwrap().abs().sum_dim(1).into_data();
        let gradient = gradient.try_to_vec::<f32>().unwrap();
        assert!(gradient[0] > 0.0 && gradient[1] > 0.0, "the rows in use have gradients {gradient:?}");
        assert_eq!(gradient[2], 0.0, "a row that is not in use has a gradient");
    }
}

#[test]
fn ids_that_do_not_fit_are_refused() {
    let folder = folder::with_weights("text_encoder").pop().unwrap();
    let encoder = open(&folder);
    let vocabulary = encoder.config().vocab_size as u32;
    let narrow = Tensor::<2>::zeros([1, encoder.width() - 1], &crate::device());
    assert_eq!(encoder.embed(&[], None).unwrap_err(), TextError::Empty);
    assert!(matches!(encoder.embed(&[vec![1], vec![1, 2]], None), Err(TextError::Length { row: 1, .. })));
    assert!(matches!(encoder.embed(&[vec![1; 1000]], None), Err(TextError::Length { row: 0, .. })));
    assert!(matches!(encoder.embed(&[vec![vocabulary]], None), Err(TextError::UnknownId { .. })));
    assert!(matches!(encoder.embed(&[vec![1]], Some(narrow)), Err(TextError::Width { .. })));
}
