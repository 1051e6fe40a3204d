//! `scheduler/scheduler_config.json`, as the diffusers library writes it.
//!
//! A key that is absent takes the default of the *class that is made from the file*, which need not be the
//! class that wrote it (`from_config`): hence the options here. Keys that would change the numbers in a way
//! that is not implemented are refused by name; other unknown keys are ignored, as the library does.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::lenient_json::without_non_finite;
use crate::samplers::SamplerKind;

/// What the network predicts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PredictionType {
    /// The noise (`epsilon`).
    Epsilon,
    /// The velocity (`v_prediction`).
    Velocity,
}

/// How betas rise from `beta_start` to `beta_end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BetaSchedule {
    /// Evenly (`linear`).
    Linear,
    /// Evenly in the square root (`scaled_linear`): Stable Diffusion.
    ScaledLinear,
}

/// Which timesteps a number of steps visits (table 2 of Lin et al., 2023).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimestepSpacing {
    /// From 0 to the last timestep, evenly.
    Linspace,
    /// Multiples of a whole ratio, counted from 0, plus `steps_offset`.
    Leading,
    /// Multiples of a ratio, counted down from the last.
    Trailing,
}

/// Where the sigmas of Euler and DPM-Solver++ end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FinalSigmas {
    /// At zero: the last step lands on the predicted latents.
    Zero,
    /// At the smallest sigma of training.
    SigmaMin,
}

/// Why a scheduler file is not used. Every message names the key.
#[derive(Debug, thiserror::Error)]
pub enum SchedulerConfigError {
    /// The file could not be read.
    #[error("cannot read {path}: {source}; a model folder needs scheduler/scheduler_config.json", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The text is not a JSON object.
    #[error("the scheduler configuration is not a JSON object: {0}")]
    Json(String),
    /// The file names a scheduler that is not implemented.
    #[error(
        "the scheduler configuration names the class {name:?}, which is not supported; supported are \
         DDIMScheduler, PNDMScheduler, EulerDiscreteScheduler and DPMSolverMultistepScheduler"
    )]
    UnknownClass {
        /// `_class_name` as written.
        name: String,
    },
    /// A setting would change the numbers in a way that is not implemented.
    #[error(
        "the scheduler configuration sets {key} to {value}, which is not supported; supported: {supported}"
    )]
    Unsupported {
        /// The key.
        key: &'static str,
        /// Its value as written.
        value: String,
        /// What can be used instead.
        supported: &'static str,
    },
    /// A value has the wrong type or is out of range.
    #[error("the scheduler configuration has {key} = {value}; expected {expected}")]
    Invalid {
        /// The key.
        key: &'static str,
        /// Its value as written.
        value: String,
        /// What was expected.
        expected: &'static str,
    },
}

/// The settings of a scheduler file that the schedule and the samplers use.
#[derive(Clone, Debug, PartialEq)]
pub struct SchedulerConfig {
    /// The sampler of the file's own class.
    pub shipped_sampler: SamplerKind,
    /// How many timesteps the model was trained on.
    pub num_train_timesteps: usize,
    /// The first beta (of the square roots, for `scaled_linear`).
    pub beta_start: f64,
    /// The last beta.
    pub beta_end: f64,
    /// How betas rise.
    pub beta_schedule: BetaSchedule,
    /// Betas given one by one; they take the place of the three above.
    pub trained_betas: Option<Vec<f32>>,
    /// What the network predicts.
    pub prediction_type: PredictionType,
    /// Spacing as written; absent means the default of each sampler's class.
    pub timestep_spacing: Option<TimestepSpacing>,
    /// Added to the timesteps of `leading` spacing.
    pub steps_offset: usize,
    /// Whether the step before timestep 0 counts as noiseless (class default: true for DDIM, false for PNDM).
    pub set_alpha_to_one: Option<bool>,
    /// Whether DDIM clips its predicted latents (class default: true).
    pub clip_sample: Option<bool>,
    /// The bound of that clipping.
    pub clip_sample_range: f64,
    /// Whether PNDM leaves the Runge-Kutta start out (class default: false, which is not implemented).
    pub skip_prk_steps: Option<bool>,
    /// Whether DPM-Solver++ takes a first-order last step under 15 steps.
    pub lower_order_final: bool,
    /// Whether DPM-Solver++ always takes a first-order last step.
    pub euler_at_final: bool,
    /// Where sigmas end.
    pub final_sigmas: FinalSigmas,
    /// Settings that only some samplers read and that are not implemented: (sampler, key, value, supported).
    pub(crate) refused: Vec<(SamplerKind, &'static str, String, &'static str)>,
}

impl SchedulerConfig {
    /// Reads a file.
    ///
    /// # Errors
    /// [`SchedulerConfigError`], naming the file or the key.
    pub fn open(path: &Path) -> Result<Self, SchedulerConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| SchedulerConfigError::Read { path: path.to_path_buf(), source })?;
        Self::from_json(&text)
    }

    /// Reads the text of a file.
    ///
    /// # Errors
    /// [`SchedulerConfigError`], naming the key.
    pub fn from_json(text: &str) -> Result<Self, SchedulerConfigError> {
        let keys = Keys::parse(text)?;
        let class_name = keys.text("_class_name")?.unwrap_or_default();
        let Some(shipped_sampler) = SamplerKind::ALL.into_iter().find(|kind| kind.class_name() == class_name)
        else {
            return Err(SchedulerConfigError::UnknownClass { name: class_name.to_owned() });
        };
        for key in [
            "thresholding",
            "rescale_betas_zero_snr",
            "use_karras_sigmas",
            "use_exponential_sigmas",
            "use_beta_sigmas",
            "use_lu_lambdas",
            "use_flow_sigmas",
            "use_dynamic_shifting",
        ] {
            if keys.flag(key)?.unwrap_or(false) {
                return Err(keys.unsupported(key, "false"));
            }
        }
        let config = Self {
            shipped_sampler,
            num_train_timesteps: keys.count("num_train_timesteps", 1, 100_000)?.unwrap_or(1000),
            beta_start: keys.number("beta_start")?.unwrap_or(0.0001),
            beta_end: keys.number("beta_end")?.unwrap_or(0.02),
            beta_schedule: keys
                .choice(
                    "beta_schedule",
                    &[("linear", BetaSchedule::Linear), ("scaled_linear", BetaSchedule::ScaledLinear)],
                    "\"linear\" and \"scaled_linear\"",
                )?
                .unwrap_or(BetaSchedule::Linear),
            trained_betas: keys.numbers("trained_betas")?,
            prediction_type: keys
                .choice(
                    "prediction_type",
                    &[("epsilon", PredictionType::Epsilon), ("v_prediction", PredictionType::Velocity)],
                    "\"epsilon\" and \"v_prediction\"",
                )?
                .unwrap_or(PredictionType::Epsilon),
            timestep_spacing: keys.choice(
                "timestep_spacing",
                &[
                    ("linspace", TimestepSpacing::Linspace),
                    ("leading", TimestepSpacing::Leading),
                    ("trailing", TimestepSpacing::Trailing),
                ],
                "\"linspace\", \"leading\" and \"trailing\"",
            )?,
            steps_offset: keys.count("steps_offset", 0, 1000)?.unwrap_or(0),
            set_alpha_to_one: keys.flag("set_alpha_to_one")?,
            clip_sample: keys.flag("clip_sample")?,
            clip_sample_range: keys.number("clip_sample_range")?.unwrap_or(1.0),
            skip_prk_steps: keys.flag("skip_prk_steps")?,
            lower_order_final: keys.flag("lower_order_final")?.unwrap_or(true),
            euler_at_final: keys.flag("euler_at_final")?.unwrap_or(false),
            final_sigmas: keys
                .choice(
                    "final_sigmas_type",
                    &[("zero", FinalSigmas::Zero), ("sigma_min", FinalSigmas::SigmaMin)],
                    "\"zero\" and \"sigma_min\"",
                )?
                .unwrap_or(FinalSigmas::Zero),
            refused: keys.refused_by_sampler(),
        };
        config.betas()?;
        Ok(config)
    }

    /// The betas in f32, as torch computes them.
    ///
    /// # Errors
    /// [`SchedulerConfigError::Invalid`] where a beta is not strictly between 0 and 1, or where
    /// `trained_betas` does not have one entry a timestep.
    pub(super) fn betas(&self) -> Result<Vec<f32>, SchedulerConfigError> {
        let betas = match &self.trained_betas {
            Some(betas) => betas.clone(),
            None => match self.beta_schedule {
                BetaSchedule::Linear => {
                    torch_linspace(self.beta_start, self.beta_end, self.num_train_timesteps)
                }
                BetaSchedule::ScaledLinear => {
                    torch_linspace(self.beta_start.sqrt(), self.beta_end.sqrt(), self.num_train_timesteps)
                        .into_iter()
                        .map(|root| root * root)
                        .collect()
                }
            },
        };
        let key = if self.trained_betas.is_some() { "trained_betas" } else { "beta_start, beta_end" };
        if betas.len() != self.num_train_timesteps {
            let expected = "one entry for each of num_train_timesteps";
            return Err(SchedulerConfigError::Invalid {
                key,
                value: format!("{} entries", betas.len()),
                expected,
            });
        }
        match betas.iter().find(|beta| !(**beta > 0.0 && **beta < 1.0)) {
            Some(beta) => {
                let expected = "betas strictly between 0 and 1";
                Err(SchedulerConfigError::Invalid { key, value: format!("a beta of {beta}"), expected })
            }
            None => Ok(betas),
        }
    }
}

/// `torch.linspace(start, end, n, dtype=torch.float32)`: in f32, from both ends towards the middle.
fn torch_linspace(start: f64, end: f64, n: usize) -> Vec<f32> {
    let (start, end) = (start as f32, end as f32);
    if n == 1 {
        return vec![start];
    }
    let step = (end - start) / (n - 1) as f32;
    (0..n)
        .map(|index| {
            if index < n / 2 {
                step.mul_add(index as f32, start)
            } else {
                (-step).mul_add((n - index - 1) as f32, end)
            }
        })
        .collect()
}

/// The keys of the file with typed look-ups; `null` counts as absent.
struct Keys(Map<String, Value>);

impl Keys {
    fn parse(text: &str) -> Result<Self, SchedulerConfigError> {
        let value: Value = serde_json::from_str(&without_non_finite(text))
            .map_err(|error| SchedulerConfigError::Json(error.to_string()))?;
        let Value::Object(mut keys) = value else {
            return Err(SchedulerConfigError::Json("the top level is not an object".to_owned()));
        };
        // Values that the library itself filled in count as absent when another class is made of the file.
        if let Some(Value::Array(defaulted)) = keys.remove("_use_default_values") {
            keys.retain(|key, _| !defaulted.iter().any(|name| name.as_str() == Some(key)));
        }
        keys.retain(|_, value| !value.is_null());
        Ok(Self(keys))
    }

    fn invalid(&self, key: &'static str, expected: &'static str) -> SchedulerConfigError {
        SchedulerConfigError::Invalid { key, value: self.written(key), expected }
    }

    fn unsupported(&self, key: &'static str, supported: &'static str) -> SchedulerConfigError {
        SchedulerConfigError::Unsupported { key, value: self.written(key), supported }
    }

    fn written(&self, key: &str) -> String {
        self.0.get(key).map_or_else(|| "nothing".to_owned(), Value::to_string)
    }

    fn text(&self, key: &'static str) -> Result<Option<&str>, SchedulerConfigError> {
        self.0.get(key).map(|value| value.as_str().ok_or_else(|| self.invalid(key, "a string"))).transpose()
    }

    fn flag(&self, key: &'static str) -> Result<Option<bool>, SchedulerConfigError> {
        let read = |value: &Value| value.as_bool().ok_or_else(|| self.invalid(key, "true or false"));
        self.0.get(key).map(read).transpose()
    }

    fn number(&self, key: &'static str) -> Result<Option<f64>, SchedulerConfigError> {
        self.0.get(key).map(|value| value.as_f64().ok_or_else(|| self.invalid(key, "a number"))).transpose()
    }

    fn numbers(&self, key: &'static str) -> Result<Option<Vec<f32>>, SchedulerConfigError> {
        let Some(value) = self.0.get(key) else { return Ok(None) };
        let list = value.as_array().ok_or_else(|| self.invalid(key, "a list of numbers"))?;
        list.iter()
            .map(|entry| entry.as_f64().map(|number| number as f32))
            .collect::<Option<Vec<f32>>>()
            .map(Some)
            .ok_or_else(|| self.invalid(key, "a list of numbers"))
    }

    fn count(
        &self,
        key: &'static str,
        min: usize,
        max: usize,
    ) -> Result<Option<usize>, SchedulerConfigError> {
        let Some(value) = self.0.get(key) else { return Ok(None) };
        value
            .as_u64()
            .and_then(|count| usize::try_from(count).ok())
            .filter(|count| (min..=max).contains(count))
            .map(Some)
            .ok_or_else(|| self.invalid(key, "a whole number in the range that real models use"))
    }

    fn choice<T: Copy>(
        &self,
        key: &'static str,
        choices: &[(&str, T)],
        supported: &'static str,
    ) -> Result<Option<T>, SchedulerConfigError> {
        let Some(name) = self.text(key)? else { return Ok(None) };
        let found = choices.iter().find(|(choice, _)| *choice == name);
        found.map(|(_, value)| Some(*value)).ok_or_else(|| self.unsupported(key, supported))
    }

    /// Settings that trouble one sampler only: they are refused when that sampler is made.
    fn refused_by_sampler(&self) -> Vec<(SamplerKind, &'static str, String, &'static str)> {
        use SamplerKind::{DpmPp, Euler};
        let wanted: [(SamplerKind, &'static str, Value, &'static str); 6] = [
            (DpmPp, "solver_order", Value::from(2), "2"),
            (DpmPp, "algorithm_type", Value::from("dpmsolver++"), "\"dpmsolver++\""),
            (DpmPp, "solver_type", Value::from("midpoint"), "\"midpoint\""),
            (DpmPp, "lambda_min_clipped", Value::Null, "-Infinity"),
            (Euler, "interpolation_type", Value::from("linear"), "\"linear\""),
            (Euler, "timestep_type", Value::from("discrete"), "\"discrete\""),
        ];
        let differs = |(sampler, key, value, supported)| {
            let written = self.0.get(key).filter(|written| **written != value)?;
            Some((sampler, key, written.to_string(), supported))
        };
        wanted.into_iter().filter_map(differs).collect()
    }
}
