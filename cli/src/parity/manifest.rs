//! `manifest.json`: the settings of a folder, and the tensors that it must have.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context;
use serde::Deserialize;

use super::arithmetic::Arithmetic;

/// What is read of a folder's manifest.
#[derive(Debug, Deserialize)]
pub(crate) struct Manifest {
    /// The folder's name.
    #[serde(default)]
    pub(crate) config_name: String,
    /// Prompts of the tokenizer's rows.
    #[serde(default)]
    pub(crate) prompts: Vec<String>,
    /// Prompts with a learned token in them, as typed.
    #[serde(default)]
    pub(crate) placeholder_prompts: Vec<String>,
    /// How pictures were drawn.
    pub(crate) generation: Generation,
    /// How vectors were learned.
    pub(crate) ti: Training,
    /// Every file of `ref/` that holds tensors.
    pub(crate) files: BTreeMap<String, File>,
    /// Parts of the model whose weights the folder does not have.
    #[serde(default)]
    pub(crate) left_out_parts: Vec<String>,
    /// PNG files of `ref/` that the folder does not have.
    #[serde(default)]
    pub(crate) left_out_pictures: Vec<String>,
    /// How far the reference's f32 values are from its own f64 run: "pndm.latents", "pndm.png share".
    #[serde(default)]
    rounding: BTreeMap<String, f64>,
    /// How far the reference is from its f32 values where it computes more coarsely, by arithmetic.
    #[serde(default)]
    coarse: BTreeMap<Arithmetic, BTreeMap<String, f64>>,
}

/// Settings of the trajectories.
#[derive(Debug, Deserialize)]
pub(crate) struct Generation {
    pub(crate) prompt: String,
    pub(crate) negative: String,
    pub(crate) seed: u64,
    pub(crate) ti_prompt: String,
    pub(crate) train_seed: u64,
    pub(crate) guidance_scale: f64,
    pub(crate) height: u32,
    pub(crate) width: u32,
}

/// Settings of the training runs.
#[derive(Debug, Deserialize)]
pub(crate) struct Training {
    #[serde(rename = "K")]
    pub(crate) vectors: usize,
    pub(crate) batch: usize,
    pub(crate) steps: usize,
    pub(crate) lr: f64,
    pub(crate) adam: Adam,
    /// The penalty of `none` in words: "loss = mse + 0.01 * sum over ...".
    pub(crate) l2_for_none: String,
}

/// Adam's constants.
#[derive(Debug, Deserialize)]
pub(crate) struct Adam {
    pub(crate) beta1: f64,
    pub(crate) beta2: f64,
    pub(crate) eps: f64,
    #[serde(default)]
    pub(crate) weight_decay: f64,
}

/// One file of tensors.
#[derive(Debug, Deserialize)]
pub(crate) struct File {
    #[serde(default)]
    pub(crate) note: String,
    pub(crate) tensors: BTreeMap<String, Described>,
    #[serde(default)]
    pub(crate) left_out: bool,
}

/// One tensor.
#[derive(Debug, Deserialize)]
pub(crate) struct Described {
    pub(crate) dtype: String,
    /// The full shape, also where only a part is in the file.
    pub(crate) shape: Vec<usize>,
    #[serde(default)]
    pub(crate) left_out: bool,
    /// The file holds `full[::every[0], ::every[1], ...]`.
    #[serde(default)]
    pub(crate) every: Vec<usize>,
}

impl Manifest {
    pub(crate) fn read(folder: &Path) -> anyhow::Result<Self> {
        let path = folder.join("manifest.json");
        let text = std::fs::read_to_string(&path).with_context(|| {
            format!(
                "cannot read {}: parity needs a folder with manifest.json, model/ and ref/",
                path.display()
            )
        })?;
        serde_json::from_str(&finite(&text)).with_context(|| format!("{} is not a manifest", path.display()))
    }

    /// The note of a file; empty where there is none.
    pub(crate) fn note(&self, file: &str) -> &str {
        self.files.get(file).map_or("", |file| file.note.as_str())
    }

    /// The reference's own rounding in an arithmetic, by "FILE.TENSOR".
    pub(crate) fn rounding(&self, arithmetic: Arithmetic) -> Option<&BTreeMap<String, f64>> {
        match arithmetic {
            Arithmetic::F32 => Some(&self.rounding),
            coarse => self.coarse.get(&coarse),
        }
    }

    /// Steps of a sampler: the note says "NAME, 50 steps, ...".
    pub(crate) fn steps(&self, sampler: &str) -> anyhow::Result<usize> {
        let note = self.note(&format!("{sampler}.safetensors"));
        number_before(note, " steps").with_context(|| {
            format!("manifest.json does not say how many steps {sampler} takes: its note is {note:?}")
        })
    }

    /// Steps and seed of the picture with learned vectors: the note says "DDIM 50, ... seed 43".
    pub(crate) fn learned_picture(&self) -> anyhow::Result<(usize, u64)> {
        let note = self.note("ti_generation.safetensors");
        let steps = number_after(note, "DDIM ").with_context(|| {
            format!("manifest.json does not say how many steps ti_generation takes: its note is {note:?}")
        })?;
        Ok((steps, number_after(note, "seed ").unwrap_or(self.generation.seed + 1)))
    }

    /// The weight of the penalty on `none`.
    pub(crate) fn l2_weight(&self) -> anyhow::Result<f64> {
        number_before(&self.ti.l2_for_none, " * sum")
            .with_context(|| format!("manifest.json: no weight in ti.l2_for_none: {:?}", self.ti.l2_for_none))
    }

    /// The bases of the training runs, from the names `ti_a271`: 2.71.
    pub(crate) fn bases(&self) -> Vec<(String, f64)> {
        let base = |name: &str| {
            let hundredths: u32 = name.strip_prefix("ti_a")?.strip_suffix(".safetensors")?.parse().ok()?;
            Some((name.to_owned(), f64::from(hundredths) / 100.0))
        };
        self.files.keys().filter_map(|name| base(name)).collect()
    }

    /// Whether the weights of all parts of the model are here.
    pub(crate) fn has_weights(&self) -> bool {
        self.left_out_parts.is_empty()
    }
}

/// Python writes infinities and NaN as bare words, which JSON does not have; nothing that is read here is one.
fn finite(text: &str) -> String {
    let (mut strict, mut in_string) = (String::with_capacity(text.len()), false);
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        if !in_string
            && let Some(word) =
                ["-Infinity", "Infinity", "NaN"].into_iter().find(|word| rest.starts_with(word))
        {
            strict.push_str("null");
            rest = &rest[word.len()..];
            continue;
        }
        strict.push(next);
        rest = &rest[next.len_utf8()..];
        match next {
            '"' => in_string = !in_string,
            // What follows a backslash, a quote above all, ends nothing.
            '\\' => {
                let escaped = rest.chars().next().map_or(0, char::len_utf8);
                strict.push_str(&rest[..escaped]);
                rest = &rest[escaped..];
            }
            _ => {}
        }
    }
    strict
}

fn number_before<T: std::str::FromStr>(text: &str, end: &str) -> Option<T> {
    text.get(..text.find(end)?)?.split(|c: char| c != '.' && !c.is_ascii_digit()).next_back()?.parse().ok()
}

fn number_after<T: std::str::FromStr>(text: &str, start: &str) -> Option<T> {
    let from = text.rfind(start)? + start.len();
    text.get(from..)?.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bare_words_that_json_lacks_become_null() {
        let text = r#"{"a": -Infinity, "b": [NaN, Infinity], "say \"NaN\"": "Infinity"}"#;
        assert_eq!(finite(text), r#"{"a": null, "b": [null, null], "say \"NaN\"": "Infinity"}"#);
    }

    #[test]
    fn numbers_are_read_out_of_the_notes() {
        assert_eq!(number_before("ddim, 50 steps, guidance 7.5: ...", " steps"), Some(50));
        assert_eq!(number_before("loss = mse + 0.01 * sum over all", " * sum"), Some(0.01));
        assert_eq!(number_before::<usize>("nothing", " steps"), None);
        let note = "prompt 'the seed 7 of <face>' with ..., DDIM 50, guidance 7.5, negative prompt, seed 43";
        assert_eq!(number_after(note, "DDIM "), Some(50));
        assert_eq!(number_after(note, "seed "), Some(43_u64));
    }
}
