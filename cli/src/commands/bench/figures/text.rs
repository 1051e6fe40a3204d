//! Prompts through the text encoder.

use super::super::session::Session;

pub(super) fn measure(session: &mut Session<'_>, batches: &[usize]) -> anyhow::Result<()> {
    session.measure_each("text", batches, |subject, rows| {
        let (encoder, device) = (&subject.model.text_encoder, subject.model.device());
        let ids = vec![subject.caption()?; rows];
        let vectors = subject.vectors_on_device()?;
        Ok(move || {
            let context = encoder.forward(encoder.embed(&ids, Some(vectors.clone()))?);
            device.sync()?;
            // not before: what nobody holds may not be worked out
            drop(context);
            Ok(())
        })
    })
}
