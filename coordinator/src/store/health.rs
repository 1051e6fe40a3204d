//! How a store is: whether it can be reached, and whether it has to find out first what it has lost.

use super::record::StoreTime;

/// What can be expected of a store at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Condition {
    /// All of it.
    #[default]
    Ready,
    /// The store came back with older data than it had: until then it gives no task to anybody, and takes back what
    /// workers hold.
    Recovering {
        /// By the store's clock.
        until: StoreTime,
    },
    /// It cannot be reached.
    Away,
}

/// A store's condition, and how often it went back to older data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StoreHealth {
    /// At the moment.
    pub condition: Condition,
    /// Grows whenever the store went back. After that, what workers hold may be unknown to it: they are to be asked.
    pub generation: u64,
}
