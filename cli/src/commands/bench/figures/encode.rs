//! Photos through the VAE's encoder.

use anyhow::Context;
use likeness_worker::inversion::latents::{PhotoToEncode, encode_pass};

use super::super::session::Session;
use super::super::timing::WARM_UPS;

pub(super) fn measure(session: &mut Session<'_>, batches: &[usize]) -> anyhow::Result<()> {
    session.measure_each("encode", batches, WARM_UPS, |subject, count| {
        let photo = subject.photo();
        Ok(move || {
            let photos: Vec<PhotoToEncode<'_>> =
                (0..count).map(|index| PhotoToEncode { index, photo: &photo, flip: false }).collect();
            let encoded = encode_pass(&subject.model, &photos, count);
            encoded.into_iter().try_for_each(|photo| photo.map(drop)).context("a photo was not encoded")
        })
    })
}
