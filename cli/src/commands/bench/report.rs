//! What was found: rows of figures for a table and for other programs.

use std::fmt;
use std::time::Duration;

use indicatif::HumanBytes;
use likeness_diffusion::parameters::ParameterCounts;
use serde::Serialize;

use super::Dtype;
use super::timing::Trouble;

/// The version of this form.
const SCHEMA: u32 = 1;

/// All figures of a run.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    schema: u32,
    version: &'static str,
    device: DeviceView,
    dtype: Dtype,
    model: String,
    parameters: ParametersView,
    /// Width and height.
    size: [u32; 2],
    pub(super) rows: Vec<Row>,
}

/// What is measured, and on what.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) device: String,
    pub(super) device_name: String,
    pub(super) dtype: Dtype,
    pub(super) model: String,
    pub(super) parameters: ParameterCounts,
}

#[derive(Debug, Serialize)]
struct DeviceView {
    choice: String,
    name: String,
}

#[derive(Debug, Serialize)]
struct ParametersView {
    unet: u64,
    text_encoder: u64,
    vae: u64,
}

/// The figures of one piece of work at one size.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    pub(super) what: &'static str,
    /// Rows, prompts, photos or pictures at once.
    pub(super) batch: usize,
    repeats: usize,
    pub(super) median_ms: Option<f64>,
    p90_ms: Option<f64>,
    min_ms: Option<f64>,
    /// Of the batch, by the median.
    per_second: Option<f64>,
    peak_bytes: Option<u64>,
    pub(super) error: Option<String>,
}

impl Report {
    pub(super) const HEADINGS: [&str; 9] =
        ["WHAT", "BATCH", "REPEATS", "MEDIAN MS", "P90 MS", "MIN MS", "PER SECOND", "PEAK", ""];

    pub(super) fn new(facts: Facts, (width, height): (u32, u32)) -> Self {
        let ParameterCounts { text_encoder, unet, vae } = facts.parameters;
        Self {
            schema: SCHEMA,
            version: env!("CARGO_PKG_VERSION"),
            device: DeviceView { choice: facts.device, name: facts.device_name },
            dtype: facts.dtype,
            model: facts.model,
            parameters: ParametersView { unet, text_encoder, vae },
            size: [width, height],
            rows: Vec::new(),
        }
    }

    /// Whether a row failed otherwise than for want of memory.
    pub(super) fn has_failures(&self) -> bool {
        let out_of_memory = Trouble::OutOfMemory.to_string();
        self.rows.iter().filter_map(|row| row.error.as_ref()).any(|error| *error != out_of_memory)
    }
}

impl fmt::Display for Facts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dtype = if self.dtype == Dtype::Bf16 { "bf16" } else { "f32" };
        let millions = self.parameters.total() as f64 / 1e6;
        write!(
            f,
            "{} ({millions:.1} million parameters) in {dtype} on {} ({})",
            self.model, self.device, self.device_name
        )
    }
}

impl Row {
    /// Of work that was done so often; at least once.
    pub(super) fn of_times(what: &'static str, batch: usize, times: &[Duration], peak: Option<u64>) -> Self {
        let mut milliseconds: Vec<f64> = times.iter().map(|time| time.as_secs_f64() * 1e3).collect();
        milliseconds.sort_by(f64::total_cmp);
        let at = |share: f64| {
            let place = (share * milliseconds.len().saturating_sub(1) as f64).ceil() as usize;
            milliseconds.get(place).copied()
        };
        Self {
            what,
            batch,
            repeats: times.len(),
            median_ms: median(&milliseconds),
            p90_ms: at(0.9),
            min_ms: at(0.0),
            per_second: median(&milliseconds).filter(|ms| *ms > 0.0).map(|ms| batch as f64 * 1e3 / ms),
            peak_bytes: peak,
            error: None,
        }
    }

    /// Of work that was not done.
    pub(super) fn of_trouble(what: &'static str, batch: usize, trouble: &Trouble) -> Self {
        Self { error: Some(trouble.to_string()), ..Self::of_times(what, batch, &[], None) }
    }

    /// As [`Report::HEADINGS`].
    pub(super) fn cells(&self) -> Vec<String> {
        let number = |number: Option<f64>| number.map_or(String::new(), |number| format!("{number:.2}"));
        vec![
            self.what.to_owned(),
            self.batch.to_string(),
            self.repeats.to_string(),
            number(self.median_ms),
            number(self.p90_ms),
            number(self.min_ms),
            number(self.per_second),
            self.peak_bytes.map_or(String::new(), |bytes| HumanBytes(bytes).to_string()),
            self.error.clone().unwrap_or_default(),
        ]
    }
}

/// Of sorted numbers.
fn median(sorted: &[f64]) -> Option<f64> {
    let middle = sorted.len() / 2;
    let upper = sorted.get(middle).copied()?;
    match sorted.len().is_multiple_of(2) {
        true => sorted.get(middle - 1).map(|lower| (lower + upper) / 2.0),
        false => Some(upper),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_of_the_sorted_times() {
        let times: Vec<Duration> = [4, 1, 10, 3].map(Duration::from_millis).to_vec();
        let row = Row::of_times("train", 8, &times, None);
        assert_eq!((row.median_ms, row.p90_ms, row.min_ms), (Some(3.5), Some(10.0), Some(1.0)));
        assert_eq!(row.per_second, Some(8.0 * 1e3 / 3.5));
        let odd = Row::of_times("train", 1, &times[..3], None);
        assert_eq!(odd.median_ms, Some(4.0));
    }

    #[test]
    fn a_row_without_figures_has_them_as_null() {
        let row = serde_json::to_value(Row::of_trouble("train", 32, &Trouble::OutOfMemory)).unwrap();
        for key in ["median_ms", "p90_ms", "min_ms", "per_second", "peak_bytes"] {
            assert!(row[key].is_null(), "{key}: {row}");
        }
        assert_eq!((&row["error"], &row["repeats"]), (&"out of memory".into(), &0.into()));
    }
}
