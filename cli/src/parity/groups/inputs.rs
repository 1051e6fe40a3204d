//! What a generation starts from: ids and contexts of prompt and negative prompt.

use crate::parity::reference::Reference;
use crate::parity::report::Report;
use crate::parity::subject::Subject;
use crate::parity::values::Array;

pub(crate) fn check(reference: &Reference, subject: &Subject, report: &mut Report) -> anyhow::Result<()> {
    let Some(file) = reference.file("gen_inputs")? else {
        report.absent("everything", "left out of this folder");
        return Ok(());
    };
    let generation = &reference.manifest.generation;
    for (name, prompt) in [("cond", &generation.prompt), ("uncond", &generation.negative)] {
        let ids = subject.tokenizer()?.encode(prompt, &[])?.ids;
        let row = Array::new(vec![1, ids.len()], ids.iter().map(|id| i64::from(*id)).collect())?;
        report.integers(format!("{name}_ids"), &row, file.expected(&format!("{name}_ids"))?);
        match subject.model() {
            Some(model) => {
                let context = model.text_encoder.forward(model.text_encoder.embed(&[ids], None)?);
                report.tensor(name, &Array::read(context)?, file.expected(name)?, report.limits().text);
            }
            None => report.absent(name, "the weights are left out of this folder"),
        }
    }
    Ok(())
}
