//! A loaded model: all parts of Stable Diffusion on one device.

use burn::backend::DispatchDevice;
use burn::tensor::{Device, FloatDType};

use crate::model_folder::{DIFFUSION_WEIGHTS, ModelError, ModelFolder, TEXT_WEIGHTS};
use crate::schedule::SchedulerConfig;
use crate::text_encoder::TextEncoder;
use crate::tokenizer::PromptTokenizer;
use crate::unet::UNet2DCondition;
use crate::vae::AutoencoderKl;
use crate::weights::{MadeWeights, WeightError, WeightFile, Weights};

/// The parts of a model, ready to run. All weights are constants on a plain device.
#[derive(Debug)]
pub struct StableDiffusion {
    /// Prompts to ids.
    pub tokenizer: PromptTokenizer,
    /// Ids to a context.
    pub text_encoder: TextEncoder,
    /// Noisy latents and a context to a prediction.
    pub unet: UNet2DCondition,
    /// Pictures to latents and back.
    pub vae: AutoencoderKl,
    /// How noise was added in training.
    pub scheduler_config: SchedulerConfig,
    device: Device,
    pads_rows: bool,
}

/// How the rows of a pass go through a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lanes {
    /// Rows at once.
    pub rows: usize,
    /// Threads side by side.
    pub threads: usize,
}

/// Numbers of rows of a pass on a device that tunes kernels for each.
const ROW_CLASSES: [usize; 16] = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256];

impl StableDiffusion {
    /// Reads the model in `folder` onto `device`, its weights converted to `dtype`.
    ///
    /// An autodiff device is reduced to the plain device inside it: weights never learn here.
    ///
    /// # Errors
    /// When a weight file does not hold exactly the configured model, or the parts do not fit.
    pub fn load(folder: &ModelFolder, device: &Device, dtype: FloatDType) -> Result<Self, ModelError> {
        Self::assemble(folder, device, dtype, None)
    }

    /// The model that `folder` describes, with random weights of `dtype` made on `device`: of use to time and to measure. The
    /// same seed gives the same weights on the same device. Only configurations and tokenizer are read.
    ///
    /// # Errors
    /// When the parts do not fit, or the tokenizer cannot be used.
    pub fn synthetic(
        folder: &ModelFolder,
        seed: u64,
        device: &Device,
        dtype: FloatDType,
    ) -> Result<Self, ModelError> {
        device.seed(seed);
        Self::assemble(folder, device, dtype, Some(&MadeWeights::random()))
    }

    fn assemble(
        folder: &ModelFolder,
        device: &Device,
        dtype: FloatDType,
        made: Option<&MadeWeights>,
    ) -> Result<Self, ModelError> {
        let device = if device.is_autodiff() { device.clone().inner() } else { device.clone() };
        let path = folder.path();
        let tokenizer = PromptTokenizer::open(&path.join("tokenizer"))?;
        check_vocabulary(folder, &tokenizer)?;

        let text_encoder =
            load_part(folder, "text_encoder", &TEXT_WEIGHTS, (&device, dtype), made, |weights| {
                TextEncoder::load(weights, folder.text_config())
            })?;
        let unet = load_part(folder, "unet", &DIFFUSION_WEIGHTS, (&device, dtype), made, |weights| {
            UNet2DCondition::load(weights, folder.unet_config())
        })?;
        let vae = load_part(folder, "vae", &DIFFUSION_WEIGHTS, (&device, dtype), made, |weights| {
            AutoencoderKl::load(weights, folder.vae_config())
        })?;
        let scheduler_config = folder.scheduler_config().clone();
        let pads_rows = !matches!(device.as_dispatch(), DispatchDevice::Flex(_));
        Ok(Self { tokenizer, text_encoder, unet, vae, scheduler_config, device, pads_rows })
    }

    /// The plain device that holds the weights.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Whether the weights are in the process's own memory.
    #[must_use]
    pub fn is_on_cpu(&self) -> bool {
        matches!(self.device.as_dispatch(), DispatchDevice::Flex(_))
    }

    /// How rows go through the model on this device: so many at once, side by side on so many threads.
    ///
    /// On a CPU of several cores two rows at once: a layer's own threads leave cores idle, the more so the fewer rows there are, and
    /// in parts of two no row's numbers depend on how many others there are, on any number of cores. Elsewhere all at once.
    #[must_use]
    pub fn lanes(&self) -> Lanes {
        match rayon::current_num_threads() {
            threads if self.is_on_cpu() && threads > 1 => Lanes { rows: 2, threads },
            _ => Lanes { rows: usize::MAX, threads: 1 },
        }
    }

    /// How many rows a pass of `rows` is to have, so that few numbers of rows occur: on a device that tunes its kernels for each, the
    /// next one of a short list; on the CPU, which tunes nothing, `rows`. Whoever makes the pass repeats a row and drops its output.
    #[must_use]
    pub fn padded_rows(&self, rows: usize) -> usize {
        match self.pads_rows {
            true => ROW_CLASSES.into_iter().find(|class| *class >= rows).unwrap_or(rows),
            false => rows,
        }
    }

    /// Pads passes as on a device that tunes its kernels, or does not.
    #[must_use]
    pub fn with_padding(self, pads_rows: bool) -> Self {
        Self { pads_rows, ..self }
    }

    /// Width and height, in pixels, of the pictures that the model was trained on.
    pub fn native_size(&self) -> (u32, u32) {
        let [height, width] = self.unet.config().sample_size;
        (width as u32 * self.vae_factor(), height as u32 * self.vae_factor())
    }

    /// Picture pixels to a latent pixel, along one side (8 for the published models).
    pub fn vae_factor(&self) -> u32 {
        self.vae.config().factor()
    }

    /// Channels of latents (4 for the published models).
    pub fn latent_channels(&self) -> usize {
        self.vae.config().latent_channels
    }
}

fn load_part<T>(
    folder: &ModelFolder,
    part: &str,
    names: &[&str],
    (device, dtype): (&Device, FloatDType),
    made: Option<&MadeWeights>,
    load: impl FnOnce(&Weights<'_>) -> Result<T, WeightError>,
) -> Result<T, WeightError> {
    if let Some(made) = made {
        return load(&Weights::made(made, device, dtype));
    }
    let file = WeightFile::open_first(&folder.path().join(part), names)?;
    let loaded = load(&Weights::new(&file, device, dtype))?;
    file.finish()?;
    Ok(loaded)
}

/// Learned vectors take the ids after the vocabulary, so tokenizer and token table must be equally long,
/// and prompts must fit the text encoder.
fn check_vocabulary(folder: &ModelFolder, tokenizer: &PromptTokenizer) -> Result<(), ModelError> {
    let mismatch = |reason| ModelError::Mismatch { path: folder.path().to_path_buf(), reason };
    folder.text_config().check_tokenizer(tokenizer).map_err(mismatch)
}
