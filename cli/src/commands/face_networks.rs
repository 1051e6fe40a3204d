//! Which networks look at faces: options of their own, or the section `[faces]` of a worker's configuration.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use likeness_worker::WorkerConfig;
use likeness_worker::faces::{Channels, FacesConfig, RecogniserConfig};

use crate::exit::{CliError, Exit};

/// Options of commands that look at faces.
#[derive(Debug, Args)]
pub(crate) struct NetworkArguments {
    /// An ONNX file that finds faces, of YuNet's form.
    #[arg(long, env = "LIKENESS_FACE_DETECTOR", value_name = "FILE")]
    detector: Option<PathBuf>,
    /// An ONNX file that says who is who: 112 x 112 pixels in, an embedding out.
    #[arg(long, env = "LIKENESS_FACE_RECOGNISER", value_name = "FILE")]
    recogniser: Option<PathBuf>,
    /// The order of colours that the recogniser takes.
    #[arg(long, requires = "recogniser", value_enum, value_name = "ORDER")]
    channels: Option<Order>,
    /// What is taken from a pixel's value before the recogniser sees it.
    #[arg(long, requires = "recogniser", value_name = "NUMBER")]
    mean: Option<f32>,
    /// What the rest is divided by.
    #[arg(long, requires = "recogniser", value_name = "NUMBER")]
    scale: Option<f32>,
    /// A worker's configuration, whose section [faces] says the same and more.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Order {
    /// Red, green, blue.
    Rgb,
    /// Blue, green, red.
    Bgr,
}

impl NetworkArguments {
    /// The section of the configuration, and above it what the command line says. Detector and recogniser are in it.
    pub(crate) fn faces(&self) -> anyhow::Result<FacesConfig> {
        let mut faces = match &self.config {
            Some(path) => WorkerConfig::read(path)?.faces,
            None => FacesConfig::default(),
        };
        if let Some(path) = &self.detector {
            faces.detector = Some(path.clone());
        }
        if let Some(path) = &self.recogniser {
            let channels = match self.channels.unwrap_or(Order::Rgb) {
                Order::Rgb => Channels::Rgb,
                Order::Bgr => Channels::Bgr,
            };
            let default = RecogniserConfig::of(path);
            let (mean, scale) = (self.mean.unwrap_or(default.mean), self.scale.unwrap_or(default.scale));
            faces.recogniser = Some(RecogniserConfig { channels, mean, scale, ..default });
        }
        let missing = match (&faces.detector, &faces.recogniser) {
            (Some(_), Some(_)) => return Ok(faces),
            (None, Some(_)) => "no network that finds faces is given: add --detector FILE",
            (Some(_), None) => "no network that tells people apart is given: add --recogniser FILE",
            (None, None) => {
                "no networks for faces are given: add --detector FILE and --recogniser FILE, or --config FILE"
            }
        };
        let message = format!(
            "{missing}; free ones are face_detection_yunet_2023mar.onnx and face_recognition_sface_2021dec.onnx of the \
             OpenCV Zoo, github.com/opencv/opencv_zoo"
        );
        Err(CliError::new(Exit::Usage, message).into())
    }
}
