//! Token ids of prompts, with and without learned tokens.

use likeness_diffusion::tokenizer::Placeholder;

use super::learned;
use crate::parity::reference::{Found, RefFile, Reference};
use crate::parity::report::Report;
use crate::parity::subject::Subject;
use crate::parity::values::{Array, unequal};

/// The three tokenizers of the reference; they agree on most prompts.
const COLUMNS: [&str; 3] = ["input_ids_fast", "input_ids", "input_ids_no_ftfy"];

pub(crate) fn check(reference: &Reference, subject: &Subject, report: &mut Report) -> anyhow::Result<()> {
    let vocabulary = subject.tokenizer()?;
    match reference.file("tokenizer")? {
        Some(file) => prompts(&file, subject, report)?,
        None => report.absent("prompts", "left out of this folder"),
    }
    let Some(file) = reference.file("tokenizer_placeholder")? else {
        report.absent("placeholders", "left out of this folder");
        return Ok(());
    };
    let placeholder =
        Placeholder { text: learned::placeholder(reference)?, vectors: reference.manifest.ti.vectors };
    let ids = reference
        .manifest
        .placeholder_prompts
        .iter()
        .map(|prompt| Ok(vocabulary.encode(prompt, std::slice::from_ref(&placeholder))?.ids))
        .collect::<anyhow::Result<Vec<_>>>()?;
    report.integers("placeholders", &rows(&ids)?, file.expected("input_ids")?);
    Ok(())
}

fn prompts(file: &RefFile<'_>, subject: &Subject, report: &mut Report) -> anyhow::Result<()> {
    let prompts = &file.manifest().prompts;
    let encoded = prompts
        .iter()
        .map(|prompt| Ok(subject.tokenizer()?.encode(prompt, &[])?))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let agree: Array<i64> = file.input("agree")?;
    let lengths: Array<i64> = file.input("untruncated_len")?;
    let ids = rows(&encoded.iter().map(|row| row.ids.clone()).collect::<Vec<_>>())?;

    let (mut differ, mut wrong_lengths, mut wrong_cuts) = (0, 0, 0);
    let reference: Array<i64> = file.input("input_ids")?;
    if ids.shape != reference.shape || agree.values.len() != encoded.len() {
        report.failed(
            "prompts",
            format!("ids of shape {:?}, the reference has {:?}", ids.shape, reference.shape),
        );
        return Ok(());
    }
    for (row, found) in encoded.iter().enumerate().filter(|(row, _)| agree.values[*row] == 1) {
        let expected_length = lengths.row(row)?.first().copied().unwrap_or(-1);
        differ += unequal(ids.row(row)?, reference.row(row)?);
        wrong_lengths += usize::from(found.untruncated_len as i64 != expected_length);
        let too_long = expected_length > subject.tokenizer()?.max_length() as i64;
        wrong_cuts += usize::from(found.cut.is_some() != too_long);
    }
    report.exact("prompts on which the reference's tokenizers agree", differ);
    report.exact("their lengths before truncation", wrong_lengths);
    report.exact("what is said to be cut", wrong_cuts);
    other_prompts(file, &ids, &agree, report)
}

/// Where the reference's tokenizers differ, one of them must be matched in every prompt.
fn other_prompts(
    file: &RefFile<'_>,
    ids: &Array<i64>,
    agree: &Array<i64>,
    report: &mut Report,
) -> anyhow::Result<()> {
    let mut nearest: Option<(&str, usize)> = None;
    for column in COLUMNS {
        let Found::Here(_) = file.expected::<i64>(column)? else { continue };
        let expected: Array<i64> = file.input(column)?;
        let mut differ = 0;
        for row in (0..ids.rows()).filter(|row| agree.values.get(*row) == Some(&0)) {
            differ += unequal(ids.row(row)?, expected.row(row)?);
        }
        if nearest.is_none_or(|(_, least)| differ < least) {
            nearest = Some((column, differ));
        }
    }
    match nearest {
        Some((column, differ)) => report.exact(format!("the other prompts, as {column}"), differ),
        None => report.absent("the other prompts", "left out of this folder"),
    }
    Ok(())
}

fn rows(ids: &[Vec<u32>]) -> anyhow::Result<Array<i64>> {
    let width = ids.first().map_or(0, Vec::len);
    Array::new(vec![ids.len(), width], ids.iter().flatten().map(|id| i64::from(*id)).collect())
}
