//! `vae/config.json`: what is supported, and what follows from it.

use std::path::Path;

use serde_json::{Value, json};

use crate::config_file::{ConfigError, ConfigFile};

/// The structure of an `AutoencoderKL`.
#[derive(Debug, Clone, PartialEq)]
pub struct VaeConfig {
    /// Channels of a picture.
    pub in_channels: usize,
    /// Channels of a decoded picture.
    pub out_channels: usize,
    /// Channels of latents.
    pub latent_channels: usize,
    /// Channels of each level, from the finest to the coarsest.
    pub block_out_channels: Vec<usize>,
    /// Residual blocks of each level of the encoder; the decoder has one more.
    pub layers_per_block: usize,
    /// Groups of every group normalisation.
    pub norm_num_groups: usize,
    /// Whether the coarsest level attends.
    pub mid_block_add_attention: bool,
    /// Whether a 1x1 convolution follows the encoder.
    pub use_quant_conv: bool,
    /// Whether a 1x1 convolution precedes the decoder.
    pub use_post_quant_conv: bool,
    /// What latents are multiplied with to have about unit variance.
    pub scaling_factor: f64,
}

impl VaeConfig {
    /// Reads `config.json` at `path`.
    ///
    /// # Errors
    /// When the file cannot be read, lacks a key, or asks for a structure that is not supported.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let file = ConfigFile::open(path)?;
        file.only("_class_name", &[json!("AutoencoderKL")])?;
        file.only("act_fn", &[json!("silu"), json!("swish")])?;
        file.only("latents_mean", &[])?;
        file.only("latents_std", &[])?;
        file.only("shift_factor", &[json!(0), json!(0.0)])?;

        let block_out_channels: Vec<usize> = file.required("block_out_channels")?;
        if block_out_channels.is_empty() || block_out_channels.contains(&0) {
            return Err(file.invalid("block_out_channels", "a list of numbers above 0"));
        }
        only_type(&file, "down_block_types", "DownEncoderBlock2D", block_out_channels.len())?;
        only_type(&file, "up_block_types", "UpDecoderBlock2D", block_out_channels.len())?;
        let norm_num_groups = file.or("norm_num_groups", 32)?;
        if norm_num_groups == 0 || block_out_channels.iter().any(|count| count % norm_num_groups != 0) {
            return Err(
                file.invalid("norm_num_groups", format!("a divisor of all of {block_out_channels:?}"))
            );
        }
        let scaling_factor: f64 = file.or("scaling_factor", 0.18215)?;
        if !(scaling_factor.is_finite() && scaling_factor > 0.0) {
            return Err(file.invalid("scaling_factor", "a number above 0"));
        }
        Ok(Self {
            in_channels: file.count("in_channels")?,
            out_channels: file.count("out_channels")?,
            latent_channels: file.count("latent_channels")?,
            layers_per_block: file.or("layers_per_block", 1)?,
            block_out_channels,
            norm_num_groups,
            mid_block_add_attention: file.or("mid_block_add_attention", true)?,
            use_quant_conv: file.or("use_quant_conv", true)?,
            use_post_quant_conv: file.or("use_post_quant_conv", true)?,
            scaling_factor,
        })
    }

    /// Picture pixels to a latent pixel, along one side.
    pub fn factor(&self) -> u32 {
        1 << (self.block_out_channels.len() - 1)
    }
}

fn only_type(file: &ConfigFile, key: &str, supported: &str, depth: usize) -> Result<(), ConfigError> {
    file.only(key, &[Value::from(vec![supported; depth])])
}
