//! GPU time: an attempt is charged what it is expected to take, more where it reports more, and in the end what it took.

use likeness_shared::proto::Progress;

use crate::store::fair::UnitCost;
use crate::store::record::{Spec, TaskRecord};

/// What a lease is expected to cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Price {
    /// GPU time of a unit of work.
    pub unit: UnitCost,
    /// The device that it was measured on, as estimates tell devices apart.
    pub device: String,
}

impl TaskRecord {
    pub(super) fn take_price(&mut self, price: Price) {
        (self.unit_ns, self.unit_deviation_ns) = (price.unit.mean_ns, price.unit.deviation_ns);
        self.device = price.device;
    }

    /// An attempt begins.
    pub(super) fn open_attempt(&mut self) {
        self.attempt_charge_us = self.expected_us();
        self.charged_us = self.charged_us.saturating_add(self.attempt_charge_us);
    }

    /// The open attempt has taken so much device time. One that takes longer than was thought is charged while it runs.
    pub(super) fn report_device_time(&mut self, time_us: u64) {
        self.attempt_time_us = self.attempt_time_us.max(time_us);
        let more = self.attempt_time_us.saturating_sub(self.attempt_charge_us);
        self.attempt_charge_us += more;
        self.charged_us = self.charged_us.saturating_add(more);
    }

    /// The open attempt took so much device time, and that is what is charged for it.
    pub(super) fn close_attempt(&mut self, time_us: u64) {
        self.charged_us = self.charged_us.saturating_sub(self.attempt_charge_us).saturating_add(time_us);
        self.device_time_us = self.device_time_us.saturating_add(time_us);
        (self.attempt_charge_us, self.attempt_time_us) = (0, 0);
    }

    /// What the next attempt need not do again, as far as is known: an inversion goes on from its checkpoint.
    pub(super) fn keep_steps(&mut self) {
        let step = self.progress.as_ref().map_or(0, |Progress { step, .. }| *step);
        self.resumes_from = if matches!(self.spec, Spec::Inversion(_)) { step } else { 0 };
    }
}
