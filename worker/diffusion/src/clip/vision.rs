//! The tower for pictures (transformers `CLIPVisionTransformer`).

use burn::tensor::Tensor;

use super::VisionConfig;
use crate::layers::{Encoder, LayerNorm, Linear};
use crate::weights::{WeightError, Weights};

/// A picture's patches, and a class token before them that ends as the whole picture's vector.
#[derive(Debug, Clone)]
pub struct VisionTower {
    config: VisionConfig,
    patch_embedding: Linear,
    /// `[1, 1, width]`.
    class_embedding: Tensor<3>,
    /// `[1, 1 + grid * grid, width]`.
    position_embedding: Tensor<3>,
    pre_layer_norm: LayerNorm,
    encoder: Encoder,
    post_layer_norm: LayerNorm,
}

impl VisionTower {
    /// Reads the tower that lies at `weights` (`vision_model` of a `CLIPModel`).
    ///
    /// # Errors
    /// When a tensor is missing or misshaped, or the file cannot be read.
    pub fn load(weights: &Weights<'_>, config: &VisionConfig) -> Result<Self, WeightError> {
        let embeddings = weights.at("embeddings");
        embeddings.ignore("position_ids");
        let (width, positions) = (config.hidden_size(), 1 + config.grid().pow(2));
        let norm = |name| LayerNorm::load(&weights.at(name), width, config.encoder.epsilon);
        Ok(Self {
            patch_embedding: Linear::load_patches(
                &embeddings.at("patch_embedding"),
                3,
                width,
                config.patch_size,
            )?,
            class_embedding: embeddings.tensor("class_embedding", [width])?.reshape([1, 1, width]),
            position_embedding: embeddings
                .tensor("position_embedding.weight", [positions, width])?
                .unsqueeze(),
            // The files' spelling.
            pre_layer_norm: norm("pre_layrnorm")?,
            encoder: Encoder::load(&weights.at("encoder"), &config.encoder)?,
            post_layer_norm: norm("post_layernorm")?,
            config: config.clone(),
        })
    }

    /// The structure.
    pub fn config(&self) -> &VisionConfig {
        &self.config
    }

    /// The vectors of pictures before projection, `[batch, width]`: the class token's last state, normalised.
    ///
    /// `pixels` is `[batch, side, side, 3]` with the `image_size` of the configuration, in the tower's dtype.
    pub fn forward(&self, pixels: Tensor<4>) -> Tensor<2> {
        let states = self.encoder.forward(self.enter(pixels));
        let class = states.narrow(1, 0, 1).squeeze_dim::<2>(1);
        self.post_layer_norm.forward(class)
    }

    /// The normalised embeddings with positions, then the output of each layer, `[batch, 1 + grid * grid, width]`.
    pub fn hidden_states(&self, pixels: Tensor<4>) -> Vec<Tensor<3>> {
        self.encoder.hidden_states(self.enter(pixels))
    }

    fn enter(&self, pixels: Tensor<4>) -> Tensor<3> {
        let [batch, ..] = pixels.dims();
        let (grid, side, width) = (self.config.grid(), self.config.patch_size, self.config.hidden_size());
        let patches = pixels.reshape([batch, grid, side, grid, side * 3]).permute([0, 1, 3, 2, 4]).reshape([
            batch,
            grid * grid,
            side * side * 3,
        ]);
        let patches = self.patch_embedding.forward(patches);
        let class = self.class_embedding.clone().expand([batch, 1, width]);
        let embeddings = Tensor::cat(vec![class, patches], 1) + self.position_embedding.clone();
        self.pre_layer_norm.forward(embeddings)
    }
}
