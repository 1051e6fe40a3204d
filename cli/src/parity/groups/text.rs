//! The text encoder, from the reference's ids.

use crate::parity::reference::{Found, Reference};
use crate::parity::report::Report;
use crate::parity::subject::Subject;
use crate::parity::values::Array;

/// Rows of `input_ids` whose inside the reference keeps, from this one on.
const FIRST_HIDDEN_ROW: usize = 2;

pub(crate) fn check(reference: &Reference, subject: &Subject, report: &mut Report) -> anyhow::Result<()> {
    let Some(model) = super::model(subject, report) else { return Ok(()) };
    let Some(file) = reference.file("text")? else {
        report.absent("everything", "left out of this folder");
        return Ok(());
    };
    let encoder = &model.text_encoder;
    let ids = file.input::<i64>("input_ids")?.all_ids()?;
    let states = Array::read(encoder.forward(encoder.embed(&ids, None)?))?;

    let expected = file.expected::<f32>("last_hidden_state")?;
    let kept = if let Found::Here(expected) = &expected {
        expected.full_shape.first().copied().unwrap_or(0)
    } else {
        0
    };
    report.tensor("last_hidden_state", &states.slice(0, kept)?, expected, report.limits().text);
    let sum = over_positions(&states, |value| value)?;
    report.tensor(
        "last_hidden_state_sum",
        &sum,
        file.expected("last_hidden_state_sum")?,
        report.limits().text,
    );
    let positions = states.shape.get(1).copied().unwrap_or(1).max(1) as f64;
    let mean = over_positions(&states, |value| value.abs() / positions)?;
    report.tensor(
        "last_hidden_state_absmean",
        &mean,
        file.expected("last_hidden_state_absmean")?,
        report.limits().text,
    );

    let hidden: Vec<&str> = file.names().filter(|name| name.starts_with("hidden_")).collect();
    if hidden.is_empty() {
        report.absent("hidden_*", "not in this folder's manifest");
        return Ok(());
    }
    for name in hidden {
        let expected = file.expected::<f32>(name)?;
        let Found::Here(kept) = &expected else {
            report.absent(name, "left out of this folder");
            continue;
        };
        let rows = kept.full_shape.first().copied().unwrap_or(0);
        let Some(ids) = ids.get(FIRST_HIDDEN_ROW..FIRST_HIDDEN_ROW + rows) else {
            report.failed(name, format!("the reference has {} rows of ids", ids.len()));
            continue;
        };
        let states = encoder.hidden_states(encoder.embed(ids, None)?);
        let layer = name.trim_start_matches("hidden_").parse::<usize>().ok();
        match layer.and_then(|layer| states.into_iter().nth(layer)) {
            Some(state) => report.tensor(name, &Array::read(state)?, expected, report.limits().text),
            None => report.failed(name, "this text encoder has no such layer"),
        }
    }
    Ok(())
}

/// Sums `part` of every value over the positions of (N, L, D).
fn over_positions(states: &Array<f32>, part: impl Fn(f64) -> f64) -> anyhow::Result<Array<f32>> {
    let [rows, positions, width] = states.shape[..] else {
        anyhow::bail!("the text encoder's output has the shape {:?}", states.shape);
    };
    let mut sums = vec![0.0; rows * width];
    for row in 0..rows {
        for position in 0..positions {
            let from = (row * positions + position) * width;
            for (sum, value) in sums[row * width..].iter_mut().zip(&states.values[from..from + width]) {
                *sum += part(f64::from(*value));
            }
        }
    }
    Array::new(vec![rows, width], sums.into_iter().map(|sum| sum as f32).collect())
}
