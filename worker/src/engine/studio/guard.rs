//! Tells a device that is out of memory from one that is broken: burn panics on both.
//!
//! On a card work is only queued, and a failed piece of it is told to whoever reads what it should have written. Every pass
//! therefore ends by reading: losses and gradients, latents of photos, a number of a sampler step, of a picture, of a prompt.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use crate::engine::machine::{PassError, Stepped};
use crate::panics::{is_out_of_memory, panic_message};
use crate::score::EvaluatorError;

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

/// Asks networks whose failure costs nobody a task, however they fail: with an error, or with a panic. Where it is the device that is
/// broken the next pass says so.
pub(super) fn networks<T>(ask: impl FnOnce() -> Result<T, EvaluatorError>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(ask)) {
        Ok(answer) => answer.map_err(|error| error.to_string()),
        Err(panic) => Err(panic_message(panic.as_ref())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn panics(words: &'static str) -> Result<Vec<Stepped>, PassError> {
        memory(|| panic!("{words}"))
    }

    #[test]
    fn networks_may_fail_in_any_way() {
        assert_eq!(networks(|| Ok(3)), Ok(3));
        assert_eq!(networks::<()>(|| panic!("a broken file")), Err("a broken file".to_owned()));
    }

    #[test]
    fn only_want_of_memory_is_caught() {
        assert!(matches!(panics("CUDA_ERROR_OUT_OF_MEMORY, \"out of memory\""), Err(PassError::OutOfMemory)));
        for said in [
            "Error while reading data: use `try_into_data` instead to catch the error at runtime: An error happened during \
             execution\nCaused by:\n  An IO error happened\nCaused by:\n  out of device memory allocating 671088640 bytes\n",
            "An IO error happened\nCaused by:\n  can't allocate buffer of size: 90000000000\n",
            "An out-of-memory error happened during launch\nCaused by:\n  shared",
        ] {
            assert!(matches!(panics(said), Err(PassError::OutOfMemory)), "{said}");
        }
        assert!(memory(|| Ok(Vec::new())).is_ok());
        let broken = catch_unwind(|| panics("an illegal memory access was encountered"));
        assert_eq!(panic_message(broken.unwrap_err().as_ref()), "an illegal memory access was encountered");
    }
}
