//! What a detector can be told.

use crate::error::FaceError;

/// How faces are looked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DetectorOptions {
    /// Larger pictures are scaled down until their longer side has so many pixels.
    pub side: u32,
    /// A find less sure than this is none, more than 0 and less than 1.
    pub score: f32,
    /// Of two finds that share more than this part of their area, the surer one stays; 0..=1.
    pub overlap: f32,
}

impl Default for DetectorOptions {
    fn default() -> Self {
        Self { side: 640, score: 0.7, overlap: 0.45 }
    }
}

impl DetectorOptions {
    /// Refuses what cannot work, naming the option.
    pub fn validate(&self) -> Result<(), FaceError> {
        if !(64..=4096).contains(&self.side) {
            return Err(refused("side", self.side.to_string(), "64 to 4096 pixels, such as 640"));
        }
        if !(self.score > 0.0 && self.score < 1.0) {
            return Err(refused("score", self.score.to_string(), "more than 0 and less than 1, such as 0.7"));
        }
        if !(0.0..=1.0).contains(&self.overlap) {
            return Err(refused("overlap", self.overlap.to_string(), "0 to 1, such as 0.45"));
        }
        Ok(())
    }
}

fn refused(name: &'static str, value: String, rule: &'static str) -> FaceError {
    FaceError::Option { name, value, rule }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_out_of_range_are_named() {
        DetectorOptions::default().validate().unwrap();
        for (options, name) in [
            (DetectorOptions { side: 0, ..DetectorOptions::default() }, "side is 0"),
            (DetectorOptions { score: f32::NAN, ..DetectorOptions::default() }, "score is NaN"),
            (DetectorOptions { overlap: 1.5, ..DetectorOptions::default() }, "overlap is 1.5"),
        ] {
            let said = options.validate().unwrap_err().to_string();
            assert!(said.starts_with(name), "{said}");
        }
    }
}
