//! `unet/config.json`: what is supported, and what follows from it.

use std::path::Path;

use serde_json::{Value, json};

use crate::config_file::{ConfigError, ConfigFile};

/// One level of the UNet, as seen on the way down.
#[derive(Debug, Clone, PartialEq)]
pub struct UNetLevel {
    /// Channels at this level.
    pub channels: usize,
    /// Residual blocks on the way down; the way up has one more.
    pub resnets: usize,
    /// Attention heads; the reference library calls this number `attention_head_dim`.
    pub heads: usize,
    /// Transformer layers in each attention block.
    pub transformer_layers: usize,
    /// Whether the way down attends to the context at this level.
    pub attends_down: bool,
    /// Whether the way up attends to the context at this level.
    pub attends_up: bool,
}

/// The structure of a `UNet2DConditionModel`.
#[derive(Debug, Clone, PartialEq)]
pub struct UNetConfig {
    /// Height and width, in latent pixels, that the model was trained at.
    pub sample_size: [usize; 2],
    /// Channels of the noisy latents.
    pub in_channels: usize,
    /// Channels of the prediction.
    pub out_channels: usize,
    /// The levels from the finest to the coarsest.
    pub levels: Vec<UNetLevel>,
    /// Width of the context rows.
    pub cross_attention_dim: usize,
    /// Groups of every group normalisation.
    pub norm_num_groups: usize,
    /// Epsilon of the group normalisations in residual blocks and before the output.
    pub norm_eps: f64,
    /// Whether attention blocks project with linear layers (2.x) or 1x1 convolutions (1.x).
    pub use_linear_projection: bool,
    /// Whether attention scores are computed in f32 even in a narrower model.
    pub upcast_attention: bool,
    /// Whether the time embedding starts with the cosines.
    pub flip_sin_to_cos: bool,
    /// Shift of the time embedding's frequencies.
    pub freq_shift: f64,
}

impl UNetConfig {
    /// Reads `config.json` at `path`.
    ///
    /// # Errors
    /// When the file cannot be read, lacks a key, or asks for a structure that is not supported.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let file = ConfigFile::open(path)?;
        refuse_unsupported(&file)?;

        let channels: Vec<usize> = file.required("block_out_channels")?;
        let depth = channels.len();
        if depth == 0 || channels.contains(&0) || channels.iter().any(|count| count % 2 == 1) {
            return Err(file.invalid("block_out_channels", "a list of even numbers above 0"));
        }
        let attends_down =
            attending(&file, "down_block_types", depth, ["DownBlock2D", "CrossAttnDownBlock2D"])?;
        let mut attends_up = attending(&file, "up_block_types", depth, ["UpBlock2D", "CrossAttnUpBlock2D"])?;
        attends_up.reverse();
        let resnets = file.per_block("layers_per_block", depth, Some(2))?;
        let heads = file.per_block("attention_head_dim", depth, Some(8))?;
        let transformer_layers = file.per_block("transformer_layers_per_block", depth, Some(1))?;

        let norm_num_groups = file.or("norm_num_groups", 32)?;
        if norm_num_groups == 0 || channels.iter().any(|count| count % norm_num_groups != 0) {
            return Err(file.invalid("norm_num_groups", format!("a divisor of all of {channels:?}")));
        }
        if heads.iter().zip(&channels).any(|(&heads, channels)| heads == 0 || channels % heads != 0) {
            return Err(
                file.invalid("attention_head_dim", format!("numbers of heads that divide {channels:?}"))
            );
        }
        let levels = (0..depth)
            .map(|level| UNetLevel {
                channels: channels[level],
                resnets: resnets[level],
                heads: heads[level],
                transformer_layers: transformer_layers[level],
                attends_down: attends_down[level],
                attends_up: attends_up[level],
            })
            .collect();

        Ok(Self {
            sample_size: sample_size(&file)?,
            in_channels: file.count("in_channels")?,
            out_channels: file.count("out_channels")?,
            levels,
            cross_attention_dim: file.count("cross_attention_dim")?,
            norm_num_groups,
            norm_eps: file.or("norm_eps", 1e-5)?,
            use_linear_projection: file.or("use_linear_projection", false)?,
            upcast_attention: file.or("upcast_attention", false)?,
            flip_sin_to_cos: file.or("flip_sin_to_cos", true)?,
            freq_shift: file.or("freq_shift", 0.0)?,
        })
    }

    /// Width of the time embedding.
    pub fn time_width(&self) -> usize {
        self.time_channels() * 4
    }

    /// Width of the sinusoids before the time embedding.
    pub fn time_channels(&self) -> usize {
        self.levels.first().map_or(0, |level| level.channels)
    }
}

/// The keys that change the structure in ways which Stable Diffusion 1.x and 2.x never do.
fn refuse_unsupported(file: &ConfigFile) -> Result<(), ConfigError> {
    let supported: [(&str, &[Value]); 28] = [
        ("_class_name", &[json!("UNet2DConditionModel")]),
        ("act_fn", &[json!("silu"), json!("swish")]),
        ("addition_embed_type", &[]),
        ("attention_type", &[json!("default")]),
        ("center_input_sample", &[json!(false)]),
        ("class_embed_type", &[]),
        ("class_embeddings_concat", &[json!(false)]),
        ("conv_in_kernel", &[json!(3)]),
        ("conv_out_kernel", &[json!(3)]),
        ("cross_attention_norm", &[]),
        ("downsample_padding", &[json!(1)]),
        ("dual_cross_attention", &[json!(false)]),
        ("encoder_hid_dim", &[]),
        ("encoder_hid_dim_type", &[]),
        ("mid_block_only_cross_attention", &[json!(false)]),
        ("mid_block_scale_factor", &[json!(1), json!(1.0)]),
        ("mid_block_type", &[json!("UNetMidBlock2DCrossAttn")]),
        ("num_attention_heads", &[]),
        ("num_class_embeds", &[]),
        ("only_cross_attention", &[json!(false)]),
        ("projection_class_embeddings_input_dim", &[]),
        ("resnet_out_scale_factor", &[json!(1), json!(1.0)]),
        ("resnet_skip_time_act", &[json!(false)]),
        ("resnet_time_scale_shift", &[json!("default")]),
        ("reverse_transformer_layers_per_block", &[]),
        ("time_embedding_type", &[json!("positional")]),
        ("time_embedding_dim", &[]),
        ("timestep_post_act", &[]),
    ];
    let also: [(&str, &[Value]); 2] = [("time_cond_proj_dim", &[]), ("time_embedding_act_fn", &[])];
    supported.into_iter().chain(also).try_for_each(|(key, values)| file.only(key, values))
}

/// For every block of the list at `key`, whether it is the attending one of the two supported types.
fn attending(
    file: &ConfigFile,
    key: &str,
    depth: usize,
    [plain, attending]: [&str; 2],
) -> Result<Vec<bool>, ConfigError> {
    let types: Vec<String> = file.required(key)?;
    if types.len() != depth {
        return Err(file.invalid(key, format!("a list of {depth} block types, one a level")));
    }
    if types.iter().any(|name| name != plain && name != attending) {
        return Err(file.invalid(key, format!("only \"{plain}\" and \"{attending}\"")));
    }
    Ok(types.iter().map(|name| name == attending).collect())
}

/// `sample_size` as `[height, width]`.
fn sample_size(file: &ConfigFile) -> Result<[usize; 2], ConfigError> {
    let size = match file.value("sample_size") {
        Some(Value::Array(_)) => file.required("sample_size")?,
        Some(_) => [file.required("sample_size")?; 2],
        None => [64; 2],
    };
    if size.contains(&0) {
        return Err(file.invalid("sample_size", "sizes above 0"));
    }
    Ok(size)
}
