//! Everything that the manifest lists is there, in the shape and the type that it says.

use crate::parity::reference::{Found, Reference};
use crate::parity::report::Report;
use crate::parity::subject::Subject;

pub(crate) fn check(reference: &Reference, _subject: &Subject, report: &mut Report) -> anyhow::Result<()> {
    if reference.manifest.files.is_empty() {
        report.failed("manifest.json", "it lists no files, so there is nothing to hold the model against");
    }
    for name in reference.manifest.files.keys() {
        if let Err(error) = check_file(reference, name, report) {
            report.failed(name.clone(), format!("{error:#}"));
        }
    }
    Ok(())
}

fn check_file(reference: &Reference, name: &str, report: &mut Report) -> anyhow::Result<()> {
    let Some(file) = reference.file(name.trim_end_matches(".safetensors"))? else {
        report.absent(name, "left out of this folder");
        return Ok(());
    };
    let mut wrong = 0;
    for tensor in file.names() {
        let whole_numbers = matches!(file.dtype(tensor), Some("int32" | "int64" | "uint8"));
        let here = if whole_numbers {
            matches!(file.expected::<i64>(tensor)?, Found::Here(_))
        } else {
            matches!(file.expected::<f32>(tensor)?, Found::Here(_))
        };
        wrong += usize::from(here && !file.dtype_agrees(tensor)?);
    }
    report.exact(name, wrong);
    Ok(())
}
