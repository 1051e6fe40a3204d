//! `preprocessor_config.json`: from a picture to the numbers that the tower for pictures takes (transformers `CLIPImageProcessor`).
//!
//! The shorter side is scaled to a size, bicubically; the middle is cut out; bytes become numbers of 0 to 1, less a mean, divided by a
//! deviation. Numbers are bit for bit those of the reference library where it resamples with Pillow. Its processor on torchvision
//! (`CLIPImageProcessorFast`) rounds otherwise: bytes of a scaled picture differ by one.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::resample::scaled_window;
use crate::config_file::{ConfigError, ConfigFile};
use crate::picture::{PictureError, RgbPicture};

/// How the reference library names bicubic resampling.
const BICUBIC: u32 = 3;

/// What is done to a picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Preprocessing {
    /// Pixels of the shorter side after scaling.
    shortest_edge: usize,
    /// Height and width of the part that is cut out of the middle; neither is longer than `shortest_edge`.
    crop: [usize; 2],
    /// What a byte is multiplied with.
    rescale_factor: f64,
    /// Subtracted from red, green and blue.
    mean: [f32; 3],
    /// What red, green and blue are then divided by; more than 0.
    deviation: [f32; 3],
}

impl Preprocessing {
    /// Reads `preprocessor_config.json` at `path`.
    ///
    /// # Errors
    /// When the file cannot be read, lacks a key, or asks for something that is not supported.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let file = ConfigFile::open(path)?;
        for step in ["do_resize", "do_center_crop", "do_rescale", "do_normalize"] {
            file.only(step, &[json!(true)])?;
        }
        file.only("resample", &[json!(BICUBIC)])?;
        let shortest_edge = size(&file, "size", &["shortest_edge"])?[0];
        let crop = size(&file, "crop_size", &["height", "width"])?;
        if crop.iter().any(|side| *side > shortest_edge) {
            return Err(file.invalid("crop_size", format!("at most the {shortest_edge} pixels of \"size\"")));
        }
        let deviation: [f32; 3] = file.required("image_std")?;
        if !deviation.iter().all(|deviation| *deviation > 0.0) {
            return Err(file.invalid("image_std", "three numbers above 0"));
        }
        Ok(Self {
            shortest_edge,
            crop: [crop[0], crop[crop.len() - 1]],
            rescale_factor: file.or("rescale_factor", 1.0 / 255.0)?,
            mean: file.required("image_mean")?,
            deviation,
        })
    }

    /// Height and width of what [`Preprocessing::cropped`] gives.
    pub fn crop(&self) -> [usize; 2] {
        self.crop
    }

    /// The middle of the scaled picture.
    ///
    /// # Errors
    /// Where the picture's bytes do not fill it.
    pub fn cropped(&self, picture: &RgbPicture) -> Result<RgbPicture, PictureError> {
        picture.check()?;
        let [width, height] = [picture.width as usize, picture.height as usize];
        let shorter = width.min(height);
        let scaled = [width, height].map(|side| self.shortest_edge * side / shorter);
        let [high, wide] = self.crop;
        let (left, top) = ((scaled[0] - wide) / 2, (scaled[1] - high) / 2);
        scaled_window(picture, scaled, [left..left + wide, top..top + high])
    }

    /// The picture as numbers, `[height, width, 3]` of [`Preprocessing::crop`], row by row.
    ///
    /// # Errors
    /// As [`Preprocessing::cropped`].
    pub fn pixel_values(&self, picture: &RgbPicture) -> Result<Vec<f32>, PictureError> {
        let number = |(index, byte): (usize, &u8)| {
            let rescaled = (f64::from(*byte) * self.rescale_factor) as f32;
            (rescaled - self.mean[index % 3]) / self.deviation[index % 3]
        };
        Ok(self.cropped(picture)?.pixels.iter().enumerate().map(number).collect())
    }
}

/// A number for all sides, or an object with one for each of `sides`.
fn size(file: &ConfigFile, key: &str, sides: &[&str]) -> Result<Vec<usize>, ConfigError> {
    if file.required::<Value>(key)?.is_object() {
        let given = file.section(key, Map::new())?;
        return sides.iter().map(|side| given.count(side)).collect();
    }
    Ok(vec![file.count(key)?])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(changes: &[(&str, Value)]) -> Result<Preprocessing, ConfigError> {
        let mut config = json!({"size": 4, "crop_size": 4, "resample": 3, "do_resize": true,
            "image_mean": [0.5, 0.25, 0.0], "image_std": [0.5, 0.5, 1.0]});
        for (key, value) in changes {
            config[*key] = value.clone();
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("preprocessor_config.json");
        std::fs::write(&path, config.to_string()).unwrap();
        Preprocessing::read(&path)
    }

    #[test]
    fn both_forms_of_sizes_are_read() {
        let size = [("size", json!({"shortest_edge": 6})), ("crop_size", json!({"height": 4, "width": 5}))];
        let processing = read(&size).unwrap();
        assert_eq!((processing.shortest_edge, processing.crop()), (6, [4, 5]));
        assert_eq!(read(&[]).unwrap().crop(), [4, 4]);
    }

    #[test]
    fn the_middle_is_cut_out_and_its_bytes_become_numbers() {
        let pixels = (0..6 * 4).flat_map(|pixel| [pixel as u8 % 6 * 51, 51, 102]).collect();
        let picture = RgbPicture::new(6, 4, pixels).unwrap();
        let cropped = read(&[]).unwrap().cropped(&picture).unwrap();
        assert_eq!((cropped.width, cropped.height), (4, 4));
        assert_eq!(cropped.pixels[..6], [51, 51, 102, 102, 51, 102]);
        let values = read(&[]).unwrap().pixel_values(&picture).unwrap();
        for (found, expected) in values[..4].iter().zip([-0.6, -0.1, 0.4, -0.2]) {
            assert!((found - expected).abs() < 1e-6, "{values:?}");
        }
        let torn = RgbPicture { pixels: vec![0; 3], ..picture };
        assert!(read(&[]).unwrap().cropped(&torn).is_err());
    }

    #[test]
    fn a_long_strip_costs_no_more_than_its_middle() {
        let strip = RgbPicture::new(200_000, 1, vec![9; 600_000]).unwrap();
        let cropped =
            read(&[("size", json!(224)), ("crop_size", json!(224))]).unwrap().cropped(&strip).unwrap();
        assert!(cropped.pixels.iter().all(|byte| *byte == 9));
    }

    #[test]
    fn what_is_not_supported_is_refused_by_the_name_of_the_key() {
        for (key, value, named) in [
            ("do_center_crop", json!(false), "\"do_center_crop\" is false"),
            ("resample", json!(2), "supported: 3"),
            ("size", json!({"height": 4, "width": 4}), "size.shortest_edge"),
            ("crop_size", json!(5), "at most the 4 pixels"),
            ("image_std", json!([0.5, 0.0, 1.0]), "three numbers above 0"),
            ("image_mean", Value::Null, "image_mean"),
        ] {
            let said = read(&[(key, value)]).unwrap_err().to_string();
            assert!(said.contains(named), "{said:?} does not name {named:?}");
        }
    }
}
