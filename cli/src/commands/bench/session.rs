//! A run: figures are measured one after another, told as they come, and kept in the report's file.

use std::path::Path;

use super::report::{Report, Row};
use super::subject::Subject;
use super::timing::Timing;
use crate::exit::Exit;
use crate::output::Voice;
use crate::whole_file;

/// Measures on one subject.
pub(super) struct Session<'a> {
    pub(super) subject: &'a Subject,
    report: Report,
    timing: Timing,
    file: Option<&'a Path>,
    pub(super) voice: Voice,
}

impl<'a> Session<'a> {
    pub(super) fn new(
        subject: &'a Subject,
        report: Report,
        timing: Timing,
        file: Option<&'a Path>,
        voice: Voice,
    ) -> Self {
        Self { subject, report, timing, file, voice }
    }

    /// How often a figure is measured at most.
    pub(super) fn repeats(&self) -> u32 {
        self.timing.repeats
    }

    /// Measures work at each of the sizes, from the smallest on, until memory does not hold it.
    pub(super) fn measure_each<W>(
        &mut self,
        what: &'static str,
        sizes: &[usize],
        warm_ups: u32,
        make: impl Fn(&'a Subject, usize) -> anyhow::Result<W>,
    ) -> anyhow::Result<()>
    where
        W: FnMut() -> anyhow::Result<()>,
    {
        let mut sizes = sizes.to_vec();
        sizes.sort_unstable();
        sizes.dedup();
        let subject = self.subject;
        for size in sizes {
            if !self.measure(what, size, warm_ups, || make(subject, size))? {
                break;
            }
        }
        Ok(())
    }
    /// Measures work of one size; whether more of it can be tried.
    pub(super) fn measure<W>(
        &mut self,
        what: &'static str,
        size: usize,
        warm_ups: u32,
        make: impl FnOnce() -> anyhow::Result<W>,
    ) -> anyhow::Result<bool>
    where
        W: FnMut() -> anyhow::Result<()>,
    {
        let outcome = self.timing.time(self.subject.model.device(), warm_ups, make);
        let goes_on = outcome.is_ok();
        self.record(match outcome {
            Ok(measured) => Row::of_times(what, size, &measured.times, measured.peak),
            Err(trouble) => Row::of_trouble(what, size, &trouble),
        })?;
        Ok(goes_on)
    }

    /// Adds a row.
    pub(super) fn record(&mut self, row: Row) -> anyhow::Result<()> {
        match (row.median_ms, &row.error) {
            (Some(median), _) => {
                self.voice.say(format_args!("{} of {}: {median:.2} ms", row.what, row.batch));
            }
            (None, Some(error)) => {
                self.voice.warn(format_args!("{} of {}: {error}", row.what, row.batch));
            }
            (None, None) => {}
        }
        self.report.rows.push(row);
        self.write()
    }

    /// The median of a row, in milliseconds.
    pub(super) fn median(&self, what: &str, batch: usize) -> Option<f64> {
        let row = self.report.rows.iter().find(|row| row.what == what && row.batch == batch);
        row.and_then(|row| row.median_ms)
    }

    /// Prints the report.
    pub(super) fn finish(self) -> anyhow::Result<Exit> {
        self.write()?;
        let rows = self.report.rows.iter().map(Row::cells);
        self.voice.rows(&self.report, &Report::HEADINGS, rows)?;
        Ok(if self.report.has_failures() { Exit::Failed } else { Exit::Ok })
    }

    fn write(&self) -> anyhow::Result<()> {
        let Some(path) = self.file else { return Ok(()) };
        let mut text = serde_json::to_vec_pretty(&self.report)?;
        text.push(b'\n');
        whole_file::write(path, &text)?;
        Ok(())
    }
}
