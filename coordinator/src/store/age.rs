//! Where in a listing a moment lies, without reading the listing.
//!
//! Numbers grow with the time of the submit, so the first task of a listing that was not submitted before a moment is
//! found by halving the range of numbers: a look at one task each time.

use super::record::StoreTime;

/// A search for the least number from which on no task was submitted before a moment.
#[derive(Debug)]
pub(super) struct AgeSearch {
    moment: StoreTime,
    low: u64,
    high: u64,
}

impl AgeSearch {
    /// `end` = a number over those of all tasks.
    pub(super) fn new(moment: StoreTime, end: u64) -> Self {
        Self { moment, low: 0, high: end }
    }

    /// The number from which on to look for the next task; `None` = the search is over.
    pub(super) fn look_from(&self) -> Option<u64> {
        (self.low < self.high).then(|| self.low + (self.high - self.low) / 2)
    }

    /// The first task of the listing from `look_from` on, with its number and the time of its submit.
    pub(super) fn found(&mut self, first: Option<(u64, StoreTime)>) {
        let Some(middle) = self.look_from() else { return };
        match first {
            Some((number, created)) if number < self.high && created < self.moment => self.low = number + 1,
            _ => self.high = middle,
        }
    }

    /// What was searched for.
    pub(super) fn number(&self) -> u64 {
        self.high
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_finds_what_a_scan_finds(gaps in prop::collection::vec((1..50u64, 1..90u64), 0..200), moment in 0..10_000u64) {
            let mut tasks = Vec::new();
            let (mut number, mut time) = (0, 0);
            for (more, later) in gaps {
                (number, time) = (number + more, time + later);
                tasks.push((number, StoreTime(time)));
            }
            let moment = StoreTime(moment);
            let mut search = AgeSearch::new(moment, number + 1);
            let mut looks = 0;
            while let Some(from) = search.look_from() {
                search.found(tasks.iter().find(|(number, _)| *number >= from).copied());
                looks += 1;
            }
            prop_assert!(looks <= 16, "{looks} looks");
            let old = |(number, _): &&(u64, StoreTime)| *number < search.number();
            prop_assert_eq!(
                tasks.iter().filter(old).count(),
                tasks.iter().filter(|(_, created)| *created < moment).count()
            );
        }
    }
}
