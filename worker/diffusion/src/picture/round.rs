//! From numbers of [-1, 1] to bytes, and back.

use burn::tensor::{Device, Tensor, TensorData};

use super::{PictureError, RgbPicture};

/// A picture as the VAE's encoder takes it: [1, 3, H, W] in f32, `2 * (byte / 255) - 1`.
///
/// The picture's bytes must fill it, as [`RgbPicture::new`] makes sure.
pub fn from_rgb8(picture: &RgbPicture, device: &Device) -> Tensor<4> {
    let (width, height) = (picture.width as usize, picture.height as usize);
    let values: Vec<f32> = picture.pixels.iter().map(|byte| f32::from(*byte) / 127.5 - 1.0).collect();
    Tensor::<4>::from_data(TensorData::new(values, [1, height, width, 3]), device).permute([0, 3, 1, 2])
}

/// One decoded image [1, 3, H, W] of about [-1, 1], any float dtype, as a picture.
///
/// # Errors
/// [`PictureError`] for another shape, numbers that are not finite, or a failing device.
pub fn to_rgb8(image: Tensor<4>) -> Result<RgbPicture, PictureError> {
    let shape = image.dims();
    let mut pictures = to_rgb8_all(image)?;
    match (pictures.pop(), pictures.is_empty()) {
        (Some(picture), true) => Ok(picture),
        _ => Err(PictureError::Shape(shape)),
    }
}

/// A batch of decoded images [B, 3, H, W] as B pictures.
///
/// # Errors
/// As [`to_rgb8`].
pub fn to_rgb8_all(images: Tensor<4>) -> Result<Vec<RgbPicture>, PictureError> {
    let shape = images.dims();
    let [_, channels, height, width] = shape;
    let (Ok(wide), Ok(high), 3, 1..) =
        (u32::try_from(width), u32::try_from(height), channels, height * width)
    else {
        return Err(PictureError::Shape(shape));
    };
    let data = images.try_into_data().map_err(|error| PictureError::Device(error.to_string()))?;
    let values: Vec<f32> =
        data.convert::<f32>().try_to_vec().map_err(|error| PictureError::Device(format!("{error:?}")))?;
    if values.iter().any(|value| !value.is_finite()) {
        return Err(PictureError::NotFinite);
    }
    let plane = height * width;
    values
        .chunks_exact(3 * plane)
        .map(|image| {
            let (red, rest) = image.split_at(plane);
            let (green, blue) = rest.split_at(plane);
            let pixels = red
                .iter()
                .zip(green)
                .zip(blue)
                .flat_map(|((red, green), blue)| [byte(*red), byte(*green), byte(*blue)])
                .collect();
            RgbPicture::new(wide, high, pixels)
        })
        .collect()
}

/// `round((value / 2 + 0.5) * 255)` in f32, half to even, as numpy rounds.
fn byte(value: f32) -> u8 {
    ((value / 2.0 + 0.5).clamp(0.0, 1.0) * 255.0).round_ties_even() as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_round_to_even_and_the_rest_is_clamped() {
        assert_eq!(byte(-1.0), 0);
        assert_eq!(byte(1.0), 255);
        assert_eq!(byte(-7.0), 0);
        assert_eq!(byte(7.0), 255);
        // 0.5 * 255 = 127.5 exactly.
        assert_eq!(byte(0.0), 128);
        // Exactly 0.5 and 2.5 of 255 in f32.
        assert_eq!(byte(2.0 * (0.5 / 255.0) - 1.0), 0);
        assert!((1..=2).contains(&byte(2.0 * (1.5 / 255.0) - 1.0)));
    }
}
