//! Tells a device that is out of memory from one that is broken: burn panics on both.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use crate::engine::machine::{PassError, Stepped};
use crate::panics::{is_out_of_memory, panic_message};

/// Makes a pass. A panic for want of memory is an error, any other one goes on up: it ends the device thread.
///
/// A pass changes its jobs only after all of its work on the device, so none has changed where that panics.
pub(super) fn memory(
    pass: impl FnOnce() -> Result<Vec<Stepped>, PassError>,
) -> Result<Vec<Stepped>, PassError> {
    catch_unwind(AssertUnwindSafe(pass)).unwrap_or_else(|panic| {
        if is_out_of_memory(&panic_message(panic.as_ref())) {
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
