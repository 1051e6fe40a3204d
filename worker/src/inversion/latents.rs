//! Photos as the UNet sees them: the VAE's mean and deviation of each photo and of its mirror image, worked
//! out once and kept on the host; every iteration samples them anew.

use burn::tensor::{FloatDType, Tensor};
use likeness_diffusion::picture::{RgbPicture, from_rgb8};
use likeness_diffusion::stable_diffusion::StableDiffusion;

use super::face_mask::FaceEllipse;
use crate::lanes::in_lanes;

/// A photo that cannot be encoded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LatentsError {
    /// A side is no whole number of latent pixels.
    #[error(
        "photo {index} is {width}x{height} pixels, both sides must be multiples of {multiple}: crop and resize it first"
    )]
    Size {
        /// Which photo, from 0.
        index: usize,
        /// Its width.
        width: u32,
        /// Its height.
        height: u32,
        /// Pixels of one latent pixel, along one side.
        multiple: u32,
    },
    /// The bytes do not fill the picture.
    #[error("photo {index} has {found} bytes of pixels, {expected} are needed")]
    Bytes {
        /// Which photo, from 0.
        index: usize,
        /// Bytes it has.
        found: usize,
        /// Bytes it needs.
        expected: usize,
    },
    /// The device gave no numbers back.
    #[error("the encoded photo {index} could not be read from the device: {reason}")]
    Device {
        /// Which photo, from 0.
        index: usize,
        /// What burn said.
        reason: String,
    },
    /// The VAE made something that is not a number.
    #[error("photo {index} gave values that are not finite in the VAE: use another photo, or a model in f32")]
    NotFinite {
        /// Which photo, from 0.
        index: usize,
    },
}

/// Mean and deviation of one picture's latents, each C*h*w numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Moments {
    mean: Vec<f32>,
    deviation: Vec<f32>,
}

impl Moments {
    /// `(mean + deviation * eps) * scaling_factor`.
    pub fn sample(&self, eps: &[f32], scaling_factor: f64) -> Vec<f32> {
        let scale = scaling_factor as f32;
        self.mean.iter().zip(&self.deviation).zip(eps).map(|((m, d), e)| (m + d * e) * scale).collect()
    }
}

/// One photo, both ways round.
#[derive(Clone, Debug, PartialEq)]
pub struct PhotoLatents {
    upright: Moments,
    mirrored: Option<Moments>,
    shape: [usize; 3],
    face: FaceEllipse,
}

impl PhotoLatents {
    /// The same photo with its face here; without this it is where an FFHQ-style crop has it.
    #[must_use]
    pub fn with_face(self, face: FaceEllipse) -> Self {
        Self { face, ..self }
    }

    /// Where the face is in the photo or in its mirror image.
    pub fn face(&self, mirrored: bool) -> FaceEllipse {
        if mirrored { self.face.mirrored() } else { self.face }
    }

    /// `[C, h, w]`.
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// The moments of the photo or of its mirror image (the photo's own where none was encoded).
    pub fn moments(&self, mirrored: bool) -> &Moments {
        match &self.mirrored {
            Some(moments) if mirrored => moments,
            _ => &self.upright,
        }
    }
}

/// Encodes one photo, with its mirror image if it may be flipped. Any size of whole latent pixels will do; the
/// model knows its native one best.
pub fn encode_photo(
    model: &StableDiffusion,
    index: usize,
    photo: &RgbPicture,
    flip: bool,
) -> Result<PhotoLatents, LatentsError> {
    let encoded = encode_pass(model, &[PhotoToEncode { index, photo, flip }], 2);
    encoded.into_iter().next().unwrap_or(Err(LatentsError::NotFinite { index }))
}

/// A photo on its way into the VAE.
#[derive(Clone, Copy, Debug)]
pub struct PhotoToEncode<'a> {
    /// Which one of its task, from 0.
    pub index: usize,
    /// The photo.
    pub photo: &'a RgbPicture,
    /// Whether its mirror image is encoded too: one more row.
    pub flip: bool,
}

/// Encodes photos of many tasks, of one size, at most `most_rows` of them and their mirror images at once (0 counts as
/// 1). Each has an outcome of its own.
pub fn encode_pass(
    model: &StableDiffusion,
    photos: &[PhotoToEncode<'_>],
    most_rows: usize,
) -> Vec<Result<PhotoLatents, LatentsError>> {
    let checked = photos.iter().map(|photo| check(model, photo.index, photo.photo));
    let checked: Vec<Result<(), LatentsError>> = checked.collect();
    let mut images = Vec::new();
    for (PhotoToEncode { photo, flip, .. }, _) in photos.iter().zip(&checked).filter(|(_, fits)| fits.is_ok())
    {
        let image = from_rgb8(photo, model.device());
        if *flip {
            images.push(image.clone().flip([3]));
        }
        images.push(image);
    }
    let lanes = model.lanes();
    let encoded = in_lanes(&images, most_rows.min(lanes.rows), lanes.threads, |images| {
        let distribution = model.vae.encode(Tensor::cat(images.to_vec(), 0));
        let row = |row: usize| {
            let (mean, logvar) = (distribution.mean.clone(), distribution.logvar.clone());
            (mean.narrow(0, row, 1), logvar.narrow(0, row, 1))
        };
        (0..images.len()).map(row).collect::<Vec<_>>()
    });
    let mut encoded = encoded.into_iter().flatten();
    let mut moments = |index: usize| match encoded.next() {
        Some((mean, logvar)) => moments(index, mean, logvar),
        None => Err(LatentsError::Device { index, reason: "no latents came back".to_owned() }),
    };
    let latents = |(photo, fits): (&PhotoToEncode<'_>, Result<(), LatentsError>)| {
        fits?;
        let mirrored = photo.flip.then(|| moments(photo.index));
        let upright = moments(photo.index)?;
        let shape = latent_shape(model, photo.photo);
        Ok(PhotoLatents { upright, mirrored: mirrored.transpose()?, shape, face: FaceEllipse::default() })
    };
    photos.iter().zip(checked).map(latents).collect()
}

fn latent_shape(model: &StableDiffusion, photo: &RgbPicture) -> [usize; 3] {
    let multiple = model.vae_factor().max(1);
    [model.latent_channels(), (photo.height / multiple) as usize, (photo.width / multiple) as usize]
}

/// Refuses a photo that is not made of whole latent pixels.
fn check(model: &StableDiffusion, index: usize, photo: &RgbPicture) -> Result<(), LatentsError> {
    let &RgbPicture { width, height, ref pixels } = photo;
    let multiple = model.vae_factor().max(1);
    let fits = |side: u32| side > 0 && side.is_multiple_of(multiple);
    if !(fits(width) && fits(height)) {
        return Err(LatentsError::Size { index, width, height, multiple });
    }
    let bytes = width as usize * height as usize * 3;
    if pixels.len() != bytes {
        return Err(LatentsError::Bytes { index, found: pixels.len(), expected: bytes });
    }
    Ok(())
}

fn moments(index: usize, mean: Tensor<4>, logvar: Tensor<4>) -> Result<Moments, LatentsError> {
    let host = |tensor: Tensor<4>| {
        let data = tensor.cast(FloatDType::F32).into_data();
        data.try_to_vec::<f32>().map_err(|error| LatentsError::Device { index, reason: format!("{error:?}") })
    };
    let mean = host(mean)?;
    let deviation: Vec<f32> = host(logvar)?.iter().map(|logvar| (0.5 * logvar).exp()).collect();
    if mean.iter().chain(&deviation).any(|value| !value.is_finite()) {
        return Err(LatentsError::NotFinite { index });
    }
    Ok(Moments { mean, deviation })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_the_scaled_mean_plus_deviation_times_noise() {
        let moments = Moments { mean: vec![1.0, -2.0], deviation: vec![0.5, 0.25] };
        assert_eq!(moments.sample(&[2.0, -4.0], 0.5), [1.0, -1.5]);
        let face = FaceEllipse { centre: (0.25, 0.5), ..FaceEllipse::default() };
        let photo = PhotoLatents { upright: moments.clone(), mirrored: None, shape: [2, 1, 1], face };
        assert_eq!(photo.moments(true), &moments);
        assert_eq!((photo.face(false), photo.face(true).centre), (face, (0.75, 0.5)));
    }
}
