//! Durations counted in classes that are 1/64 wide, so that ten million of them take a few kilobytes.

/// Classes for each doubling.
const STEPS: u64 = 64;

/// How often which duration was seen, to 1.6 per cent.
#[derive(Debug, Clone, Default)]
pub(super) struct Histogram {
    counts: Vec<u64>,
    seen: u64,
    most: u64,
}

impl Histogram {
    pub(super) fn add(&mut self, value: u64) {
        let class = class_of(value);
        if class >= self.counts.len() {
            self.counts.resize(class + 1, 0);
        }
        self.counts[class] += 1;
        self.seen += 1;
        self.most = self.most.max(value);
    }

    pub(super) fn seen(&self) -> u64 {
        self.seen
    }

    pub(super) fn most(&self) -> u64 {
        self.most
    }

    /// The value that this share of all does not exceed; of a class its upper end.
    pub(super) fn quantile(&self, share: f64) -> u64 {
        let rank = (self.seen as f64 * share).ceil() as u64;
        let mut seen = 0;
        for (class, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank.max(1) {
                return upper_end(class).min(self.most);
            }
        }
        self.most
    }
}

fn class_of(value: u64) -> usize {
    let doublings = u64::from((value / STEPS).checked_ilog2().map_or(0, |log| log + 1));
    let within = if doublings == 0 { value } else { (value >> (doublings - 1)) - STEPS };
    usize::try_from(doublings * STEPS + within).unwrap_or(usize::MAX)
}

fn upper_end(class: usize) -> u64 {
    let (doublings, within) = (class as u64 / STEPS, class as u64 % STEPS);
    if doublings == 0 { within } else { ((STEPS + within + 1) << (doublings - 1)) - 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_exact_to_a_class() {
        let mut histogram = Histogram::default();
        (0..100_000u64).for_each(|value| histogram.add(value * 7));
        for share in [0.01, 0.5, 0.9, 0.99] {
            let (found, exact) = (histogram.quantile(share) as f64, share * 700_000.0);
            assert!((found / exact - 1.0).abs() < 0.02, "{share}: {found}, not {exact}");
        }
        assert_eq!((histogram.quantile(1.0), histogram.most()), (699_993, 699_993));
    }

    #[test]
    fn every_value_lies_in_the_class_it_is_counted_in() {
        for value in (0..4096).chain([1 << 20, (1 << 20) + 1, (1 << 40) - 1, 1 << 40, u64::MAX / 2]) {
            let class = class_of(value);
            assert!(upper_end(class) >= value && (class == 0 || upper_end(class - 1) < value), "{value}");
        }
    }
}
