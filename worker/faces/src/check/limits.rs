//! What a photo must be like to be learned from.

use crate::error::FaceError;

/// The limits of a check. The defaults refuse what would harm, and advise about the rest.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckLimits {
    /// Width of the face, in pixels, at least.
    pub min_face: f32,
    /// Sharpness (0..=1), at least.
    pub min_sharpness: f32,
    /// A face whose bright parts (the brightest tenth) are darker than this is too dark; 0..=255.
    pub darkest_highlight: f32,
    /// A face half of which is brighter than this is too bright; 0..=255.
    pub brightest_middle: f32,
    /// Degrees that a face may be turned aside, at most.
    pub max_yaw: f32,
    /// Degrees that it may look up or down, at most.
    pub max_pitch: f32,
    /// Degrees that it may be tilted, at most.
    pub max_roll: f32,
    /// The largest face is the person's where its area is so many times that of the next.
    pub dominance: f32,
    /// Cosine to the photo in the middle of the set, at least: less is somebody else. It depends on the recogniser.
    pub min_likeness: f32,
    /// Cosine from which on two photos may be one picture, ...
    pub duplicate_likeness: f32,
    /// ... and are, where their aligned faces correlate at least like this.
    pub duplicate_correlation: f32,
    /// Usable photos, at least.
    pub min_photos: usize,
    /// Fewer usable photos than this are remarked on ...
    pub few_photos: usize,
    /// ... and more than this.
    pub many_photos: usize,
    /// Sides of the portraits that are cut, in pixels.
    pub portrait_side: u32,
    /// Sides of the square that becomes one, in sides of FFHQ's: more shows more around the head.
    pub portrait_scale: f32,
}

impl Default for CheckLimits {
    fn default() -> Self {
        Self {
            min_face: 80.0,
            min_sharpness: 0.2,
            darkest_highlight: 50.0,
            brightest_middle: 240.0,
            max_yaw: 60.0,
            max_pitch: 45.0,
            max_roll: 45.0,
            dominance: 4.0,
            min_likeness: 0.35,
            duplicate_likeness: 0.97,
            duplicate_correlation: 0.9,
            min_photos: 3,
            few_photos: 6,
            many_photos: 12,
            portrait_side: 512,
            portrait_scale: 1.0,
        }
    }
}

impl CheckLimits {
    /// Refuses what cannot work, naming the option.
    pub fn validate(&self) -> Result<(), FaceError> {
        let brightness = "0 to 255";
        let angle = "0 to 180 degrees";
        let cosine = "-1 to 1";
        for (name, value, least, most, rule) in [
            ("min_face", self.min_face, 0.0, 4096.0, "0 to 4096 pixels"),
            ("min_sharpness", self.min_sharpness, 0.0, 1.0, "0 to 1"),
            ("darkest_highlight", self.darkest_highlight, 0.0, 255.0, brightness),
            ("brightest_middle", self.brightest_middle, 0.0, 255.0, brightness),
            ("max_yaw", self.max_yaw, 0.0, 180.0, angle),
            ("max_pitch", self.max_pitch, 0.0, 180.0, angle),
            ("max_roll", self.max_roll, 0.0, 180.0, angle),
            ("dominance", self.dominance, 1.0, 1e6, "1 or more"),
            ("min_likeness", self.min_likeness, -1.0, 1.0, cosine),
            ("duplicate_likeness", self.duplicate_likeness, -1.0, 1.0, cosine),
            ("duplicate_correlation", self.duplicate_correlation, -1.0, 1.0, cosine),
            ("portrait_side", self.portrait_side as f32, 8.0, 2048.0, "8 to 2048 pixels"),
            ("portrait_scale", self.portrait_scale, 0.5, 4.0, "0.5 to 4"),
        ] {
            if !(least..=most).contains(&value) {
                return Err(FaceError::Option { name, value: value.to_string(), rule });
            }
        }
        if self.min_photos == 0 {
            return Err(FaceError::Option { name: "min_photos", value: "0".to_owned(), rule: "1 or more" });
        }
        Ok(())
    }
}
