//! Leaves the server room for what is under way: from a share of its memory on nothing new is taken. Beats, results and
//! leases pass beyond that, and beyond the server's own limit.
//!
//! What is used is known from the last look for expired leases, so a burst between two looks may pass the share.

use std::sync::{Mutex, PoisonError};

use super::checks::fact;
use crate::store::StoreError;

/// The server's memory as it was last found.
#[derive(Debug)]
pub(super) struct Memory {
    share: f64,
    /// Percent that is used; `None` = the server has no limit.
    used: Mutex<Option<u32>>,
}

impl Memory {
    pub(super) fn new(share: f64) -> Self {
        Self { share, used: Mutex::new(None) }
    }

    /// What `INFO memory` says.
    pub(super) fn found(&self, facts: &str) {
        *self.used.lock().unwrap_or_else(PoisonError::into_inner) = percent(facts);
    }

    /// Refuses where there is no room for anything new.
    pub(super) fn has_room(&self) -> Result<(), StoreError> {
        let used = *self.used.lock().unwrap_or_else(PoisonError::into_inner);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // the share is 0.1 to 1
        let most = (self.share * 100.0).round() as u32;
        match used.filter(|used| *used >= most) {
            Some(percent) => Err(StoreError::MemoryShort { percent, most }),
            None => Ok(()),
        }
    }
}

/// The part of the limit that is used, as the server counts it when it refuses commands.
fn percent(facts: &str) -> Option<u32> {
    let number = |name| fact(facts, name).parse::<u64>().unwrap_or(0);
    let limit = number("maxmemory");
    let counted = number("used_memory").saturating_sub(number("mem_not_counted_for_evict"));
    let percent = counted.saturating_mul(100).checked_div(limit)?;
    Some(u32::try_from(percent).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_is_of_what_the_server_counts() {
        let facts = |used: u64, limit: u64| {
            format!("used_memory:{used}\r\nmaxmemory:{limit}\r\nmem_not_counted_for_evict:10\r\n")
        };
        let memory = Memory::new(0.8);
        assert_eq!(memory.has_room(), Ok(()));
        memory.found(&facts(89, 100));
        assert_eq!(memory.has_room(), Ok(()));
        memory.found(&facts(90, 100));
        assert_eq!(memory.has_room(), Err(StoreError::MemoryShort { percent: 80, most: 80 }));
        memory.found(&facts(1_000_000, 0));
        assert_eq!(memory.has_room(), Ok(()), "a server without a limit has no share");
    }
}
