//! The autoencoder.

use burn::tensor::{Tensor, TensorData};
use likeness_diffusion::AutoencoderKl;
use likeness_diffusion::picture::RgbPicture;
use likeness_diffusion::vae::VaeConfig;

use crate::{folder, load};

const LIMIT: f64 = 1e-4;
/// The pictures that may be in a folder.
const PICTURES: usize = 4;

fn open(folder: &folder::Folder) -> AutoencoderKl {
    let part = folder.model().join("vae");
    let config = VaeConfig::read(&part.join("config.json")).unwrap();
    load(part.join("diffusion_pytorch_model.safetensors"), |weights| AutoencoderKl::load(weights, &config))
        .unwrap()
}

/// A training picture in [-1, 1], `[1, 3, height, width]`.
fn picture(folder: &folder::Folder, index: usize) -> Option<Tensor<4>> {
    let bytes = std::fs::read(folder.reference(&format!("images/train_{index}.png"))).ok()?;
    let (picture, _) = RgbPicture::from_png(&bytes).unwrap();
    let shape = [1, picture.height as usize, picture.width as usize, 3];
    let values: Vec<f32> = picture.pixels.iter().map(|&value| value as f32 / 127.5 - 1.0).collect();
    let pixels = Tensor::<4>::from_data(TensorData::new(values, shape), &crate::device());
    Some(pixels.permute([0, 3, 1, 2]))
}

#[test]
fn pictures_become_the_reference_moments() {
    for folder in folder::with_weights("vae") {
        let (vae, expected) = (open(&folder), folder.tensors("vae"));
        let mut seen = 0;
        for index in 0..PICTURES {
            let Some(picture) = picture(&folder, index) else { continue };
            let moments = vae.encode(picture);
            for (name, found) in [("mean", moments.mean), ("logvar", moments.logvar)] {
                let what = format!("{} vae {name} of picture {index}", folder.name);
                expected.get(name).row(index).unwrap().check(&what, found.squeeze_dim::<3>(0), LIMIT);
            }
            seen += 1;
        }
        assert!(seen > 0, "{} has no pictures", folder.name);
    }
}

#[test]
fn a_picture_that_is_not_square_is_encoded() {
    let mut seen = 0;
    for folder in folder::with_weights("vae") {
        let Some(picture) = picture(&folder, 0) else { continue };
        let (vae, expected) = (open(&folder), folder.tensors("vae"));
        let moments = vae.encode(picture.narrow(2, 0, 48).narrow(3, 0, 80));
        for (name, found) in [("mean_nonsquare", moments.mean), ("logvar_nonsquare", moments.logvar)] {
            expected.get(name).check(&format!("{} vae {name}", folder.name), found, LIMIT);
        }
        seen += 1;
    }
    assert!(seen > 0, "no reference folder has picture 0");
}

#[test]
fn latents_become_the_reference_pictures() {
    for folder in folder::with_weights("vae") {
        let (vae, expected) = (open(&folder), folder.tensors("vae"));
        for suffix in ["", "_nonsquare"] {
            let latents = expected.get(&format!("decode_in{suffix}")).tensor::<4>();
            let name = format!("decode_out{suffix}");
            let found = vae.decode(latents / vae.scaling_factor());
            expected.get(&name).check(&format!("{} vae {name}", folder.name), found, LIMIT);
        }
    }
}
