//! Prompts through the text encoder.

use super::super::session::Session;
use super::super::timing::{WARM_UPS, wait_for};

pub(super) fn measure(session: &mut Session<'_>, batches: &[usize]) -> anyhow::Result<()> {
    session.measure_each("text", batches, WARM_UPS, |subject, rows| {
        let encoder = &subject.model.text_encoder;
        let ids = vec![subject.caption()?; rows];
        let vectors = subject.vectors_on_device()?;
        Ok(move || wait_for(encoder.forward(encoder.embed(&ids, Some(vectors.clone()))?)))
    })
}
