//! How pixels become the numbers that a recogniser was trained on.

use crate::error::FaceError;

/// Which colour a network takes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ChannelOrder {
    /// Red, green, blue.
    #[default]
    Rgb,
    /// Blue, green, red.
    Bgr,
}

/// A pixel's value v in 0..=255 becomes (v - mean) / scale. The defaults are those of the OpenCV Zoo's SFace, which
/// has the rest of the arithmetic inside.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RecogniserOptions {
    /// The order of the colours.
    pub channels: ChannelOrder,
    /// What is subtracted; 127.5 for most networks of ArcFace's kind.
    pub mean: f32,
    /// What the difference is divided by; 127.5 or 128 for most networks of ArcFace's kind.
    pub scale: f32,
}

impl Default for RecogniserOptions {
    fn default() -> Self {
        Self { channels: ChannelOrder::Rgb, mean: 0.0, scale: 1.0 }
    }
}

impl RecogniserOptions {
    /// Refuses what cannot work, naming the option.
    pub fn validate(&self) -> Result<(), FaceError> {
        if !(0.0..=255.0).contains(&self.mean) {
            let value = self.mean.to_string();
            return Err(FaceError::Option { name: "mean", value, rule: "0 to 255, such as 0 or 127.5" });
        }
        if !(self.scale > 0.0 && self.scale <= 255.0) {
            let (value, rule) = (self.scale.to_string(), "more than 0 and at most 255, such as 1 or 127.5");
            return Err(FaceError::Option { name: "scale", value, rule });
        }
        Ok(())
    }

    /// Fills three planes from pixels of red, green and blue.
    pub(super) fn fill(&self, planes: &mut [f32], rgb: &[u8]) {
        let side = planes.len() / 3;
        for (channel, plane) in planes.chunks_exact_mut(side.max(1)).enumerate() {
            let from = match self.channels {
                ChannelOrder::Rgb => channel,
                ChannelOrder::Bgr => 2 - channel.min(2),
            };
            for (value, pixel) in plane.iter_mut().zip(rgb.iter().skip(from).step_by(3)) {
                *value = (f32::from(*pixel) - self.mean) / self.scale;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planes_are_filled_in_the_order_asked_for() {
        let mut planes = [0.0; 6];
        let rgb = [0, 10, 20, 30, 40, 50];
        RecogniserOptions { mean: 10.0, scale: 10.0, ..Default::default() }.fill(&mut planes, &rgb);
        assert_eq!(planes, [-1.0, 2.0, 0.0, 3.0, 1.0, 4.0]);
        RecogniserOptions { channels: ChannelOrder::Bgr, ..Default::default() }.fill(&mut planes, &rgb);
        assert_eq!(planes, [20.0, 50.0, 10.0, 40.0, 0.0, 30.0]);
    }

    #[test]
    fn options_out_of_range_are_named() {
        RecogniserOptions::default().validate().unwrap();
        let said = |options: RecogniserOptions| options.validate().unwrap_err().to_string();
        assert!(said(RecogniserOptions { scale: 0.0, ..Default::default() }).starts_with("scale is 0"));
        assert!(said(RecogniserOptions { mean: f32::NAN, ..Default::default() }).starts_with("mean is NaN"));
    }
}
