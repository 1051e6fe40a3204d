//! Progress of long work on stderr: a bar that redraws itself on a terminal, plain lines elsewhere.

use std::fmt::Write;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::output::Voice;

/// Plain lines come at every new phase, and else at each tenth of the way, but not closer than this.
const LINE_NOT_BEFORE: Duration = Duration::from_secs(1);
/// Where a tenth takes longer than this there is a line in between.
const LINE_EVERY: Duration = Duration::from_secs(15);
/// The meter assumes that a rate below this is no rate at all.
const LEAST_RATE: f64 = 1e-3;

/// How far a piece of work is.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Standing {
    pub(crate) phase: String,
    pub(crate) step: u64,
    pub(crate) total: u64,
    /// Steps a second as the worker measures them; 0 = unknown.
    pub(crate) rate: f64,
    /// Anything more to say, such as the loss.
    pub(crate) remark: String,
}

/// "train 120/400, 3.2 steps/s, 1m 28s left, loss 0.034".
impl std::fmt::Display for Standing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.describe())
    }
}

impl Standing {
    fn describe(&self) -> String {
        let mut text = self.phase.clone();
        if self.total > 0 {
            let _ = write!(text, " {}/{}", self.step, self.total);
        }
        if self.rate > LEAST_RATE {
            let _ = write!(text, ", {:.1} steps/s", self.rate);
            if let Some(left) = self.remaining() {
                let _ = write!(text, ", {} left", humantime::format_duration(left));
            }
        }
        if !self.remark.is_empty() {
            let _ = write!(text, ", {}", self.remark);
        }
        text
    }

    /// Whole seconds to go at the present rate.
    fn remaining(&self) -> Option<Duration> {
        let steps = self.total.checked_sub(self.step).filter(|steps| *steps > 0)?;
        let seconds = (steps as f64 / self.rate).ceil();
        (self.rate > LEAST_RATE && seconds < 1e9).then(|| Duration::from_secs(seconds as u64))
    }
}

/// Shows one piece of work.
pub(crate) struct Meter {
    voice: Voice,
    label: String,
    bar: Option<ProgressBar>,
    last_line: Option<(Instant, Standing)>,
}

impl Meter {
    pub(crate) fn new(voice: Voice, label: impl Into<String>) -> Self {
        let label = label.into();
        let bar = voice.is_interactive().then(|| {
            let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
            if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix} [{bar:24}] {msg}") {
                bar.set_style(style.progress_chars("=> "));
            }
            bar.set_prefix(label.clone());
            bar.enable_steady_tick(Duration::from_millis(200));
            bar
        });
        Self { voice, label, bar, last_line: None }
    }

    pub(crate) fn show(&mut self, standing: Standing) {
        if let Some(bar) = &self.bar {
            bar.set_length(standing.total);
            bar.set_position(standing.step);
            bar.set_message(standing.describe());
        } else if self.is_worth_a_line(&standing) {
            self.voice.say(format_args!("{}: {}", self.label, standing.describe()));
            self.last_line = Some((Instant::now(), standing));
        }
    }

    fn is_worth_a_line(&self, standing: &Standing) -> bool {
        let Some((at, last)) = &self.last_line else { return true };
        let tenth = |standing: &Standing| standing.step.saturating_mul(10).checked_div(standing.total);
        let since = at.elapsed();
        let moved = tenth(last) != tenth(standing);
        last.phase != standing.phase
            || (moved && since >= LINE_NOT_BEFORE)
            || (last != standing && since >= LINE_EVERY)
    }

    /// Takes the bar away and says how it ended.
    pub(crate) fn finish(self, text: impl std::fmt::Display) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        self.voice.say(format_args!("{}: {text}", self.label));
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar
            && !bar.is_finished()
        {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_names_rate_and_time_left() {
        let standing =
            Standing { phase: "train".into(), step: 100, total: 400, rate: 3.0, remark: "loss 0.034".into() };
        assert_eq!(standing.describe(), "train 100/400, 3.0 steps/s, 1m 40s left, loss 0.034");
        let unknown = Standing { phase: "queued".into(), ..Standing::default() };
        assert_eq!(unknown.describe(), "queued");
        let stuck = Standing { rate: 1e-9, total: 5, ..unknown };
        assert_eq!(stuck.describe(), "queued 0/5");
    }
}
