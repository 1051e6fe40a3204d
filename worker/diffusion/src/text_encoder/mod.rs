//! The text encoder (transformers `CLIPTextModel`).
//!
//! It runs in two halves: [`TextEncoder::embed`] looks ids up, [`TextEncoder::forward`] does the rest. Ids
//! beyond the vocabulary stand for learned rows, the only place where a gradient can enter.

mod config;

use burn::tensor::{DType, Device, FloatDType, Int, Tensor, TensorData};

pub use config::TextConfig;

pub use crate::layers::HiddenAct;
use crate::layers::{Encoder, LayerNorm};
use crate::weights::{WeightError, Weights};

/// Ids or learned rows that do not fit the text encoder.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// Rows of ids must have one length of 1 to the model's maximum.
    #[error("row {row} of ids has length {found}; all rows need the same length, from 1 to {maximum}")]
    Length {
        /// Which row.
        row: usize,
        /// Its length.
        found: usize,
        /// The model's longest sequence.
        maximum: usize,
    },
    /// No ids at all.
    #[error("there are no ids to encode")]
    Empty,
    /// An id is neither in the vocabulary nor among the learned rows.
    #[error("token id {id} is neither below the vocabulary's {vocabulary} nor one of {learned} learned rows")]
    UnknownId {
        /// The id.
        id: u32,
        /// Rows of the token table.
        vocabulary: usize,
        /// Learned rows.
        learned: usize,
    },
    /// Learned rows of another model's width.
    #[error("the learned rows have width {found}; this model's text encoder has width {expected}")]
    Width {
        /// Width of the model.
        expected: usize,
        /// Width of the rows.
        found: usize,
    },
    /// The token table could not be read back.
    #[error("the token table could not be read from the device: {0}")]
    Device(String),
    /// Learned rows for another number of prompts.
    #[error("there are learned rows for {found} prompts and {expected} prompts")]
    Rows {
        /// Prompts.
        expected: usize,
        /// Prompts with learned rows.
        found: usize,
    },
}

/// The text encoder.
#[derive(Debug, Clone)]
pub struct TextEncoder {
    config: TextConfig,
    device: Device,
    dtype: FloatDType,
    /// `[vocab_size, width]`.
    token_embedding: Tensor<2>,
    /// `[max_position_embeddings, width]`.
    position_embedding: Tensor<2>,
    encoder: Encoder,
    final_layer_norm: LayerNorm,
}

impl TextEncoder {
    /// Reads the text encoder of structure `config`; `weights` is the root of its file.
    ///
    /// # Errors
    /// When a tensor is missing or misshaped, or the file cannot be read.
    pub fn load(weights: &Weights<'_>, config: &TextConfig) -> Result<Self, WeightError> {
        let prefixed = weights.at("text_model");
        let bare = weights.has("final_layer_norm.weight") && !prefixed.has("final_layer_norm.weight");
        let root = if bare { weights.clone() } else { prefixed };
        let embeddings = root.at("embeddings");
        embeddings.ignore("position_ids");

        let width = config.hidden_size;
        Ok(Self {
            device: weights.device().clone(),
            dtype: weights.dtype(),
            token_embedding: embeddings.tensor("token_embedding.weight", [config.vocab_size, width])?,
            position_embedding: embeddings
                .tensor("position_embedding.weight", [config.max_position_embeddings, width])?,
            encoder: Encoder::load(&root.at("encoder"), &config.encoder_sizes())?,
            final_layer_norm: LayerNorm::load(&root.at("final_layer_norm"), width, config.layer_norm_eps)?,
            config: config.clone(),
        })
    }

    /// The structure.
    pub fn config(&self) -> &TextConfig {
        &self.config
    }

    /// Width of an embedding.
    pub fn width(&self) -> usize {
        self.config.hidden_size
    }

    /// Rows of the token table, `[ids, width]`.
    ///
    /// # Errors
    /// When an id is not in the vocabulary.
    pub fn embedding_rows(&self, ids: &[u32]) -> Result<Tensor<2>, TextError> {
        self.check_ids(ids, 0)?;
        Ok(self.look_up(ids))
    }

    /// Mean Euclidean length of the token table's rows, summed in f64; rows of zeros are left out.
    ///
    /// # Errors
    /// When the device gives no numbers back.
    pub fn mean_embedding_norm(&self) -> Result<f64, TextError> {
        let squares = self.token_embedding.clone().cast(FloatDType::F32).square().sum_dim(1);
        let squares = squares.into_data().try_to_vec::<f32>();
        let squares = squares.map_err(|error| TextError::Device(format!("{error:?}")))?;
        let norms: Vec<f64> =
            squares.into_iter().filter(|s| *s > 0.0).map(|square| f64::from(square).sqrt()).collect();
        Ok(norms.iter().sum::<f64>() / norms.len() as f64)
    }

    /// Embeddings `[batch, length, width]` of `ids` `[batch][length]`, without positions.
    ///
    /// Ids from the vocabulary's size on are rows of `learned` `[n, width]`, of any float type: id
    /// `vocab_size + i` is row `i`. A gradient flows to `learned` and to nothing else.
    ///
    /// # Errors
    /// When rows differ in length or are too long, an id is unknown, or `learned` has another width.
    pub fn embed(&self, ids: &[Vec<u32>], learned: Option<Tensor<2>>) -> Result<Tensor<3>, TextError> {
        let length = self.check_lengths(ids)?;
        let [rows, found] = learned.as_ref().map_or([0, self.width()], |learned| learned.dims());
        if found != self.width() {
            return Err(TextError::Width { expected: self.width(), found });
        }
        let flat: Vec<u32> = ids.iter().flatten().copied().collect();
        self.check_ids(&flat, rows)?;

        let vocabulary = self.config.vocab_size;
        let learned_places: Vec<(usize, usize)> = flat
            .iter()
            .enumerate()
            .filter_map(|(place, &id)| Some((place, (id as usize).checked_sub(vocabulary)?)))
            .collect();
        let embeddings = match learned {
            Some(learned) if !learned_places.is_empty() => {
                let known: Vec<u32> =
                    flat.iter().map(|&id| if (id as usize) < vocabulary { id } else { 0 }).collect();
                self.place_learned(self.look_up(&known), learned, &learned_places)
            }
            _ => self.look_up(&flat),
        };
        Ok(embeddings.reshape([ids.len(), length, self.width()]))
    }

    /// Embeddings `[batch, length, width]` of `ids` `[batch][length]`, where each row has learned vectors of its own.
    ///
    /// `learned` is `[batch, n, width]`, of any float type: id `vocab_size + i` in row `b` is `learned[b, i]`. No number of
    /// one row, finite or not, reaches another row or its gradient.
    ///
    /// # Errors
    /// As [`TextEncoder::embed`], and when `learned` has another number of rows.
    pub fn embed_each(&self, ids: &[&[u32]], learned: Tensor<3>) -> Result<Tensor<3>, TextError> {
        let length = self.check_lengths(ids)?;
        let [rows, each, found] = learned.dims();
        if found != self.width() {
            return Err(TextError::Width { expected: self.width(), found });
        }
        if rows != ids.len() {
            return Err(TextError::Rows { expected: ids.len(), found: rows });
        }
        let flat: Vec<u32> = ids.iter().flat_map(|ids| ids.iter().copied()).collect();
        self.check_ids(&flat, each)?;
        let vocabulary = self.config.vocab_size;
        let learned_place = |id: u32| (id as usize).checked_sub(vocabulary);
        let known: Vec<u32> = flat.iter().map(|&id| learned_place(id).map_or(id, |_| 0)).collect();
        let mut spread = vec![0.0_f32; flat.len() * each];
        for (place, index) in
            flat.iter().enumerate().filter_map(|(place, &id)| Some((place, learned_place(id)?)))
        {
            spread[place * each + index] = 1.0;
        }
        let keep = flat
            .iter()
            .map(|&id| if learned_place(id).is_none() { 1.0 } else { 0.0_f32 })
            .collect::<Vec<_>>();
        let spread =
            Tensor::<3>::from_data(TensorData::new(spread, [rows, length, each]), (&self.device, DType::F32));
        let keep = TensorData::new(keep, [rows, length, 1]);
        let keep = Tensor::<3>::from_data(keep, (&self.device, DType::from(self.dtype)));
        let known = self.look_up(&known).reshape([rows, length, self.width()]);
        Ok(spread_out(spread, learned.cast(FloatDType::F32)).cast(self.dtype) + known * keep)
    }

    /// The last layer's output after the final normalisation, `[batch, length, width]`.
    ///
    /// `embeddings` is `[batch, length, width]` as [`TextEncoder::embed`] gives it: positions are added
    /// here. Every position sees itself and what stands before it; padding is not masked.
    pub fn forward(&self, embeddings: Tensor<3>) -> Tensor<3> {
        self.final_layer_norm.forward(self.encoder.forward(self.enter(embeddings)))
    }

    /// The embeddings with positions, then the output of each layer before the final normalisation.
    pub fn hidden_states(&self, embeddings: Tensor<3>) -> Vec<Tensor<3>> {
        self.encoder.hidden_states(self.enter(embeddings))
    }

    fn enter(&self, embeddings: Tensor<3>) -> Tensor<3> {
        let [_, length, _] = embeddings.dims();
        let positions = self.position_embedding.clone().narrow(0, 0, length).unsqueeze();
        embeddings.cast(self.dtype) + positions
    }

    /// The length that all rows have.
    fn check_lengths(&self, ids: &[impl AsRef<[u32]>]) -> Result<usize, TextError> {
        let length = ids.first().ok_or(TextError::Empty)?.as_ref().len();
        let maximum = self.config.max_position_embeddings;
        for (row, ids) in ids.iter().enumerate() {
            let found = ids.as_ref().len();
            if found != length || length == 0 || length > maximum {
                return Err(TextError::Length { row, found, maximum });
            }
        }
        Ok(length)
    }

    fn check_ids(&self, ids: &[u32], learned: usize) -> Result<(), TextError> {
        let vocabulary = self.config.vocab_size;
        match ids.iter().find(|&&id| id as usize >= vocabulary + learned) {
            Some(&id) => Err(TextError::UnknownId { id, vocabulary, learned }),
            None => Ok(()),
        }
    }

    fn look_up(&self, ids: &[u32]) -> Tensor<2> {
        self.token_embedding.clone().select(0, self.indices(ids.iter().map(|&id| i64::from(id))))
    }

    /// Puts row `row` of `learned` at `place` for every pair in `places`.
    ///
    /// The rows are spread by a product with a matrix of zeros and ones, which is exact, and so is its gradient.
    fn place_learned(&self, known: Tensor<2>, learned: Tensor<2>, places: &[(usize, usize)]) -> Tensor<2> {
        let [total, _] = known.dims();
        let [rows, _] = learned.dims();
        let mut spread = vec![0.0_f32; total * rows];
        let mut keep = vec![1.0_f32; total];
        for &(place, row) in places {
            spread[place * rows + row] = 1.0;
            keep[place] = 0.0;
        }
        let spread = TensorData::new(spread, [total, rows]);
        let spread = Tensor::<2>::from_data(spread, (&self.device, DType::F32));
        let keep = Tensor::<2>::from_data(
            TensorData::new(keep, [total, 1]),
            (&self.device, DType::from(self.dtype)),
        );
        let placed = spread_out(spread.unsqueeze(), learned.cast(FloatDType::F32).unsqueeze());
        placed.squeeze_dim(0).cast(self.dtype) + known * keep
    }

    fn indices(&self, indices: impl Iterator<Item = i64>) -> Tensor<1, Int> {
        let indices: Vec<i64> = indices.collect();
        let count = indices.len();
        Tensor::from_data(TensorData::new(indices, [count]), &self.device)
    }
}

/// The product of `spread` `[batch, length, n]`, zeros and ones, with `learned` `[batch, n, width]`. Of a few vectors it is worked
/// out one by one: a card would tune a product for a shape that is hardly one.
fn spread_out(spread: Tensor<3>, learned: Tensor<3>) -> Tensor<3> {
    const FEW: usize = 8;
    let [_, _, vectors] = spread.dims();
    if vectors > FEW {
        return spread.matmul(learned);
    }
    let of = |i: usize| spread.clone().narrow(2, i, 1) * learned.clone().narrow(1, i, 1);
    (1..vectors).fold(of(0), |sum, i| sum + of(i))
}
