//! A linear axis with round ticks.

/// Where values lie in a drawing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Axis {
    low: f64,
    high: f64,
    step: f64,
    /// Where `low` and `high` are drawn.
    pixels: (f64, f64),
}

/// About so many ticks.
const TICKS: f64 = 8.0;
/// What sums of decimal fractions may be off by, in steps.
const ROUNDING: f64 = 1e-9;

impl Axis {
    /// Holds all of these, and ends in ticks; `None` of nothing.
    pub(super) fn covering(values: impl IntoIterator<Item = f64>, pixels: (f64, f64)) -> Option<Self> {
        let range = |range: Option<(f64, f64)>, value: f64| {
            Some(range.map_or((value, value), |(low, high)| (low.min(value), high.max(value))))
        };
        let (low, high) = values.into_iter().filter(|value| value.is_finite()).fold(None, range)?;
        // Values that are all alike still need a width to lie in.
        let width = (high - low).max(1e-3 * low.abs().max(high.abs())).max(1e-6);
        let step = round_step(width / TICKS);
        let (low, high) = ((low / step + ROUNDING).floor() * step, (high / step - ROUNDING).ceil() * step);
        let high = if high > low { high } else { low + step };
        Some(Self { low, high, step, pixels })
    }

    /// Where a value is drawn.
    pub(super) fn at(&self, value: f64) -> f64 {
        let (from, to) = self.pixels;
        from + (value - self.low) / (self.high - self.low) * (to - from)
    }

    /// Where ticks are drawn, with their labels.
    pub(super) fn ticks(&self) -> Vec<(f64, String)> {
        let decimals = (-self.step.log10() - ROUNDING).ceil().max(0.0) as usize;
        let count = ((self.high - self.low) / self.step).round() as usize;
        let value = |index: usize| self.low + index as f64 * self.step;
        let label = |value: f64| {
            // Not "-0.0".
            let value = if value.abs() < self.step / 2.0 { 0.0 } else { value };
            format!("{value:.decimals$}")
        };
        (0..=count).map(|index| (self.at(value(index)), label(value(index)))).collect()
    }
}

/// The next of 1, 2, 5, 10, 20, 50 and so on.
fn round_step(at_least: f64) -> f64 {
    let magnitude = 10_f64.powf(at_least.log10().floor());
    let factor = [1.0, 2.0, 5.0]
        .into_iter()
        .find(|factor| factor * magnitude * (1.0 + ROUNDING) >= at_least)
        .unwrap_or(10.0);
    factor * magnitude
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(values: &[f64]) -> Vec<String> {
        let axis = Axis::covering(values.iter().copied(), (0.0, 100.0)).unwrap();
        axis.ticks().into_iter().map(|(_, label)| label).collect()
    }

    #[test]
    fn ticks_are_round_and_hold_all_values() {
        assert_eq!(labels(&[0.21, 0.27]), ["0.21", "0.22", "0.23", "0.24", "0.25", "0.26", "0.27"]);
        assert_eq!(labels(&[-0.07, 0.45]), ["-0.1", "0.0", "0.1", "0.2", "0.3", "0.4", "0.5"]);
        assert_eq!(labels(&[1.0, 55.0]), ["0", "10", "20", "30", "40", "50", "60"]);
    }

    #[test]
    fn places_are_between_the_ends() {
        let axis = Axis::covering([0.0, 0.6], (10.0, 70.0)).unwrap();
        assert!((axis.at(0.3) - 40.0).abs() < 1e-9);
        let upwards = Axis::covering([0.0, 0.6], (70.0, 10.0)).unwrap();
        assert!((upwards.at(0.6) - 10.0).abs() < 1e-9);
    }

    #[test]
    fn one_value_has_an_axis_and_none_has_none() {
        let axis = Axis::covering([0.25], (0.0, 100.0)).unwrap();
        assert!((0.0..=100.0).contains(&axis.at(0.25)) && axis.ticks().len() > 1);
        assert!(Axis::covering([0.0, 0.0], (0.0, 1.0)).unwrap().ticks().len() > 1);
        assert_eq!(Axis::covering([f64::NAN], (0.0, 1.0)), None);
    }
}
