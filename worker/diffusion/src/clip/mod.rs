//! CLIP: pictures and texts as directions in one space (transformers `CLIPModel`), to measure how well a picture fits its prompt.
//!
//! Two towers of the transformer that Stable Diffusion's text encoder is made of: [`VisionTower`] and [`TextEncoder`], each with a
//! projection into the common space. [`Clip::load`] reads a folder in the layout of transformers, as it is published: `config.json`,
//! `model.safetensors`, `preprocessor_config.json` and the tokenizer's files. Nothing here takes part in learning or drawing.

mod config;
mod error;
mod preprocessing;
mod resample;
mod vision;

use std::path::Path;

use burn::tensor::{DType, Device, FloatDType, Int, Tensor, TensorData};

pub use config::{ClipConfig, TextPooling, VisionConfig};
pub use error::ClipError;
pub use preprocessing::Preprocessing;
pub use vision::VisionTower;

use crate::layers::Linear;
use crate::model_folder::{TEXT_WEIGHTS, files_digest};
use crate::picture::RgbPicture;
use crate::text_encoder::TextEncoder;
use crate::tokenizer::PromptTokenizer;
use crate::weights::{WeightFile, Weights};

/// Pictures or texts that go through a tower at once: its memory does not grow with what it is given.
const AT_ONCE: usize = 32;

/// A loaded CLIP model. All weights are constants on a plain device.
#[derive(Debug)]
pub struct Clip {
    config: ClipConfig,
    preprocessing: Preprocessing,
    tokenizer: PromptTokenizer,
    text: TextEncoder,
    text_projection: Linear,
    vision: VisionTower,
    visual_projection: Linear,
    logit_scale: f32,
    device: Device,
    dtype: FloatDType,
}

impl Clip {
    /// Reads the model in `folder` onto `device`, its weights converted to `dtype`.
    ///
    /// An autodiff device is reduced to the plain device inside it.
    ///
    /// # Errors
    /// When a file is missing or of another kind of model, the weight file does not hold exactly the configured model, or the files do
    /// not fit each other.
    pub fn load(folder: &Path, device: &Device, dtype: FloatDType) -> Result<Self, ClipError> {
        let device = if device.is_autodiff() { device.clone().inner() } else { device.clone() };
        let at = |file: &'static str| match folder.join(file) {
            path if path.is_file() => Ok(path),
            _ => Err(ClipError::NoFile { folder: folder.to_path_buf(), file }),
        };
        let config = ClipConfig::read(&at("config.json")?)?;
        let preprocessing = Preprocessing::read(&at("preprocessor_config.json")?)?;
        let tokenizer = PromptTokenizer::open(folder)?;
        check_fit(&config, &preprocessing, &tokenizer)
            .map_err(|reason| ClipError::Mismatch { folder: folder.to_path_buf(), reason })?;

        let file = WeightFile::open_first(folder, &TEXT_WEIGHTS)?;
        let weights = Weights::new(&file, &device, dtype);
        let projection =
            |name, width| Linear::load_without_bias(&weights.at(name), width, config.projection_dim);
        let clip = Self {
            text: TextEncoder::load(&weights, &config.text)?,
            text_projection: projection("text_projection", config.text.hidden_size)?,
            vision: VisionTower::load(&weights.at("vision_model"), &config.vision)?,
            visual_projection: projection("visual_projection", config.vision.hidden_size())?,
            logit_scale: weights.number("logit_scale")?.exp(),
            config,
            preprocessing,
            tokenizer,
            device: device.clone(),
            dtype,
        };
        file.finish()?;
        Ok(clip)
    }

    /// SHA-256, in hexadecimal, over the names, lengths and bytes of the files in `folder` that decide what the model computes.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn digest(folder: &Path) -> Result<String, ClipError> {
        let is_there = |name: &&str| folder.join(name).is_file();
        let tokenizer = [
            "merges.txt",
            "special_tokens_map.json",
            "tokenizer.json",
            "tokenizer_config.json",
            "vocab.json",
        ];
        let weights = TEXT_WEIGHTS.into_iter().find(is_there).unwrap_or(TEXT_WEIGHTS[0]);
        let names = ["config.json", "preprocessor_config.json", weights]
            .into_iter()
            .chain(tokenizer.into_iter().filter(is_there))
            .map(str::to_owned)
            .collect::<Vec<_>>();
        files_digest(folder, &names).map_err(|(path, source)| ClipError::Read { path, source })
    }

    /// Vectors of length 1 of pictures of any size, `[pictures, projection]` in f32.
    ///
    /// # Errors
    /// When there are none.
    pub fn images(&self, pictures: &[RgbPicture]) -> Result<Tensor<2>, ClipError> {
        in_parts(pictures, |pictures| {
            let states = self.vision.forward(self.pixel_values(pictures)?);
            Ok(self.visual_projection.forward(states))
        })
    }

    /// Vectors of length 1 of texts, `[texts, projection]` in f32. Of a text that is too long the beginning counts.
    ///
    /// # Errors
    /// When there are none, or one cannot be encoded.
    pub fn texts(&self, texts: &[&str]) -> Result<Tensor<2>, ClipError> {
        in_parts(texts, |texts| {
            let encode = |text: &&str| Ok(self.tokenizer.encode(text, &[])?.ids);
            let ids = texts.iter().map(encode).collect::<Result<Vec<_>, ClipError>>()?;
            let states = self.text.forward(self.text.embed(&ids, None)?);
            Ok(self.text_projection.forward(self.pooled(states, &ids)))
        })
    }

    /// What the tower for pictures takes: `[pictures, side, side, 3]`.
    ///
    /// # Errors
    /// Where a picture's bytes do not fill it.
    pub fn pixel_values(&self, pictures: &[RgbPicture]) -> Result<Tensor<4>, ClipError> {
        let mut values = Vec::new();
        for picture in pictures {
            values.extend(self.preprocessing.pixel_values(picture)?);
        }
        let [height, width] = self.preprocessing.crop();
        let values = TensorData::new(values, [pictures.len(), height, width, 3]);
        Ok(Tensor::<4>::from_data(values, (&self.device, DType::F32)).cast(self.dtype))
    }

    /// The structure.
    pub fn config(&self) -> &ClipConfig {
        &self.config
    }

    /// What is done to pictures.
    pub fn preprocessing(&self) -> &Preprocessing {
        &self.preprocessing
    }

    /// Texts to ids.
    pub fn tokenizer(&self) -> &PromptTokenizer {
        &self.tokenizer
    }

    /// The tower for words.
    pub fn text_tower(&self) -> &TextEncoder {
        &self.text
    }

    /// The tower for pictures.
    pub fn vision_tower(&self) -> &VisionTower {
        &self.vision
    }

    /// What cosines are multiplied with before a softmax over texts or pictures; a cosine itself is without it.
    pub fn logit_scale(&self) -> f32 {
        self.logit_scale
    }

    /// The state at which each text ends: of `[batch, length, width]` `[batch, width]`.
    ///
    /// What stands after the end is padding that no earlier position sees, so it needs no mask.
    fn pooled(&self, states: Tensor<3>, ids: &[Vec<u32>]) -> Tensor<2> {
        let [batch, length, width] = states.dims();
        let rule = self.config.text_pooling;
        let ends = ids.iter().enumerate().map(|(row, ids)| (row * length + rule.position(ids)) as i64);
        let ends =
            Tensor::<1, Int>::from_data(TensorData::new(ends.collect::<Vec<i64>>(), [batch]), &self.device);
        states.reshape([batch * length, width]).select(0, ends)
    }
}

/// Cosines of vectors of length 1: of `[n, width]` and `[m, width]` `[n, m]`, all in f32.
pub fn cosines(one: Tensor<2>, other: Tensor<2>) -> Tensor<2> {
    one.matmul(other.transpose())
}

/// What `vectors_of` makes of parts of `given`, with the length of each row made 1.
fn in_parts<T>(
    given: &[T],
    vectors_of: impl Fn(&[T]) -> Result<Tensor<2>, ClipError>,
) -> Result<Tensor<2>, ClipError> {
    if given.is_empty() {
        return Err(ClipError::Empty);
    }
    let parts = given.chunks(AT_ONCE).map(vectors_of).collect::<Result<Vec<_>, _>>()?;
    let vectors = Tensor::cat(parts, 0).cast(FloatDType::F32);
    let lengths = vectors.clone().square().sum_dim(1).sqrt();
    Ok(vectors / lengths)
}

/// The files of a folder are of one model.
fn check_fit(
    config: &ClipConfig,
    preprocessing: &Preprocessing,
    tokenizer: &PromptTokenizer,
) -> Result<(), String> {
    let side = config.vision.image_size;
    if preprocessing.crop() != [side; 2] {
        let [height, width] = preprocessing.crop();
        return Err(format!(
            "preprocessor_config.json cuts out {width} x {height} pixels and the model takes {side} x {side}"
        ));
    }
    config.text.check_tokenizer(tokenizer)?;
    match config.text_pooling {
        TextPooling::First(id) if id != tokenizer.end_id() => Err(format!(
            "the tokenizer ends texts with the id {} and config.json says eos_token_id {id}",
            tokenizer.end_id()
        )),
        _ => Ok(()),
    }
}
