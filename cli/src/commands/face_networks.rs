//! Networks for faces on the command line, for commands that look at photos themselves or start what does.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use likeness_faces::config::{Channels, FacesConfig, RecogniserConfig};
use likeness_worker::WorkerConfig;

use crate::exit::{CliError, Exit};

/// Options that name two networks.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Networks for faces")]
pub(crate) struct FaceNetworks {
    /// An ONNX file that finds faces, of YuNet's form.
    #[arg(long, env = "LIKENESS_FACE_DETECTOR", value_name = "FILE")]
    pub(crate) detector: Option<PathBuf>,
    /// An ONNX file that says who is who: 112 x 112 pixels in, an embedding out.
    #[arg(long, env = "LIKENESS_FACE_RECOGNISER", value_name = "FILE")]
    pub(crate) recogniser: Option<PathBuf>,
    /// The order of colours that the recogniser takes.
    #[arg(long, requires = "recogniser", value_enum, value_name = "ORDER")]
    channels: Option<Order>,
    /// What is taken from a pixel's value before the recogniser sees it.
    #[arg(long, requires = "recogniser", value_name = "NUMBER")]
    mean: Option<f32>,
    /// What the rest is divided by.
    #[arg(long, requires = "recogniser", value_name = "NUMBER")]
    scale: Option<f32>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Order {
    /// Red, green, blue.
    Rgb,
    /// Blue, green, red.
    Bgr,
}

impl FaceNetworks {
    /// What a configuration says, and above it what the command line says.
    pub(crate) fn over(&self, mut faces: FacesConfig) -> FacesConfig {
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
        faces
    }
}

/// Networks of a command that looks at faces itself: those named, or those of a worker.
#[derive(Debug, Args)]
pub(crate) struct NetworkArguments {
    #[command(flatten)]
    networks: FaceNetworks,
    /// A worker's configuration, whose section [faces] says the same and more.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl NetworkArguments {
    /// The section of the configuration, and above it what the command line says. Detector and recogniser are in it.
    pub(crate) fn faces(&self) -> anyhow::Result<FacesConfig> {
        let configured = match &self.config {
            Some(path) => WorkerConfig::read(path)?.faces,
            None => FacesConfig::default(),
        };
        let faces = self.networks.over(configured);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_above_the_configuration() {
        let configured = FacesConfig {
            detector: Some("configured.onnx".into()),
            recogniser: Some(RecogniserConfig::of("known.onnx")),
            ..FacesConfig::default()
        };
        assert_eq!(FaceNetworks::default().over(configured.clone()), configured);
        let given = FaceNetworks {
            recogniser: Some("given.onnx".into()),
            mean: Some(127.5),
            ..FaceNetworks::default()
        };
        let faces = given.over(configured);
        let recogniser = faces.recogniser.unwrap();
        assert_eq!(faces.detector, Some(PathBuf::from("configured.onnx")));
        assert_eq!(
            (recogniser.file, recogniser.mean, recogniser.scale),
            (PathBuf::from("given.onnx"), 127.5, 1.0)
        );
    }
}
