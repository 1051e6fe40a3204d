//! Tells a device that is out of memory from one that is broken: burn panics on both.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use crate::engine::machine::{PassError, Stepped};
use crate::panics::panic_message;

/// What drivers and allocators say, in lower case.
const SAYINGS: [&str; 4] = ["out of memory", "out_of_memory", "outofmemory", "memory allocation of"];

/// Makes a pass. A panic for want of memory is an error, any other one goes on up: it ends the device thread.
///
/// A pass changes its jobs only after all of its work on the device, so none has changed where that panics.
pub(super) fn memory(
    pass: impl FnOnce() -> Result<Vec<Stepped>, PassError>,
) -> Result<Vec<Stepped>, PassError> {
    catch_unwind(AssertUnwindSafe(pass)).unwrap_or_else(|panic| {
        let message = panic_message(panic.as_ref()).to_lowercase();
        if SAYINGS.iter().any(|saying| message.contains(saying)) {
            return Err(PassError::OutOfMemory);
        }
        resume_unwind(panic)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn panics(words: &'static str) -> Result<Vec<Stepped>, PassError> {
        memory(|| panic!("{words}"))
    }

    #[test]
    fn only_want_of_memory_is_caught() {
        assert!(matches!(panics("CUDA_ERROR_OUT_OF_MEMORY, \"out of memory\""), Err(PassError::OutOfMemory)));
        assert!(memory(|| Ok(Vec::new())).is_ok());
        let broken = catch_unwind(|| panics("an illegal memory access was encountered"));
        assert_eq!(panic_message(broken.unwrap_err().as_ref()), "an illegal memory access was encountered");
    }
}
