//! Pictures against the reference's PNGs, and PNG files against what they were made of.

use burn::tensor::{Device, Tensor, TensorData};
use proptest::prelude::*;

use super::*;
use crate::schedule::reference::{FOLDERS, file, root};

fn text(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// The kept pixels of the reference's decoded image, rounded, are the pixels of the reference's PNG.
#[test]
fn rounding_a_decoded_image_gives_the_references_pixels() {
    let mut compared = 0;
    for folder in FOLDERS {
        let Some(image) = file(folder, "ddim").and_then(|ddim| ddim.tensor("image")) else { continue };
        let png = std::fs::read(root().join(folder).join("ref/ddim.png")).unwrap();
        let (expected, _) = RgbPicture::from_png(&png).unwrap();
        let shape: [usize; 4] = image.shape.clone().try_into().unwrap();
        let tensor = Tensor::<4>::from_data(TensorData::new(image.values, shape), &Device::flex());
        let found = to_rgb8(tensor).unwrap();
        for y in 0..found.height as usize {
            for x in 0..found.width as usize {
                let place = (y * found.width as usize + x) * 3;
                let full = (y * image.every[2] * expected.width as usize + x * image.every[3]) * 3;
                assert_eq!(
                    found.pixels[place..place + 3],
                    expected.pixels[full..full + 3],
                    "{folder} {x} {y}"
                );
                compared += 1;
            }
        }
    }
    assert!(compared > 1000, "only {compared} pixels were compared");
}

#[test]
fn a_picture_survives_its_file_with_all_texts() {
    let pixels = (0..5 * 4 * 3).map(|value| value as u8 * 4).collect();
    let picture = RgbPicture::new(5, 4, pixels).unwrap();
    let texts = text(&[
        ("prompt", "a photo of sks, caf\u{e9}\nsecond line"),
        ("negative prompt", ""),
        ("seed", "42"),
        ("city", "\u{41c}\u{43e}\u{441}\u{43a}\u{432}\u{430} \u{1f600}"),
    ]);
    let file = picture.to_png(&texts).unwrap();
    let (read, found) = RgbPicture::from_png(&file).unwrap();
    assert_eq!(read, picture);
    assert_eq!(found, texts);
    assert_eq!(picture.to_png(&texts).unwrap(), file);
    let has = |kind: &[u8]| file.windows(4).any(|window| window == kind);
    assert!(has(b"tEXt") && has(b"iTXt"));
}

#[test]
fn impossible_requests_are_refused() {
    let picture = RgbPicture::new(1, 1, vec![1, 2, 3]).unwrap();
    for keyword in ["", " seed", "seed ", "two  spaces", "line\nbreak", "\u{416}", &"x".repeat(80)] {
        let refused = picture.to_png(&text(&[(keyword, "1")]));
        assert!(matches!(refused, Err(PictureError::Keyword(_))), "{keyword:?}");
    }
    assert!(matches!(RgbPicture::new(2, 1, vec![0; 3]), Err(PictureError::Size { .. })));
    assert!(matches!(RgbPicture::new(0, 1, vec![]), Err(PictureError::Size { .. })));
    let tensor = |values: Vec<f32>, shape: [usize; 4]| {
        to_rgb8(Tensor::from_data(TensorData::new(values, shape), &Device::flex()))
    };
    assert!(matches!(tensor(vec![0.0; 4], [1, 4, 1, 1]), Err(PictureError::Shape([1, 4, 1, 1]))));
    assert!(matches!(tensor(vec![0.0; 6], [2, 3, 1, 1]), Err(PictureError::Shape(_))));
    assert!(matches!(tensor(vec![0.0, f32::NAN, 0.0], [1, 3, 1, 1]), Err(PictureError::NotFinite)));
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = RgbPicture::from_png(&bytes);
        let _ = RgbPicture::from_png(&[b"\x89PNG\r\n\x1a\n".as_slice(), &bytes].concat());
    }

    #[test]
    fn any_text_can_be_written_and_read(value in "\\PC*") {
        let picture = RgbPicture::new(1, 1, vec![9, 8, 7]).unwrap();
        let file = picture.to_png(&text(&[("prompt", &value)])).unwrap();
        let (_, found) = RgbPicture::from_png(&file).unwrap();
        prop_assert_eq!(found, text(&[("prompt", &value)]));
    }
}
