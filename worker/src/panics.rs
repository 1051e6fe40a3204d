//! What a panic said: burn panics where a device is out of memory as well as where it is broken.

use std::any::Any;

/// What drivers and allocators say of too little memory, in lower case.
const WANT_OF_MEMORY: [&str; 8] = [
    "out of memory",
    "out_of_memory",
    "outofmemory",
    "out-of-memory",
    "out of device memory",
    "can't allocate buffer of size",
    "every page size the memory tracks still holds live allocations",
    "memory allocation of",
];

/// Whether a panic or an error with this message was one for want of memory.
#[must_use]
pub fn is_out_of_memory(message: &str) -> bool {
    let message = message.to_lowercase();
    WANT_OF_MEMORY.iter().any(|saying| message.contains(saying))
}

/// The message of a caught panic.
pub fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text =
        panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("a panic without a message").to_owned()
}

/// Panics with what a device said, as burn does, but without a line on stderr: whoever catches it says it better.
pub(crate) fn device_failed(said: String) -> ! {
    std::panic::resume_unwind(Box::new(said))
}

/// Does `work` of a library that panics where it could say no: its message is the error, and is not printed.
#[cfg(any(test, feature = "cuda"))]
pub(crate) fn quietly<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    use std::cell::Cell;
    use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
    use std::sync::Once;

    thread_local!(static QUIET: Cell<bool> = const { Cell::new(false) });
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = take_hook();
        set_hook(Box::new(move |panic| {
            if !QUIET.get() {
                usual(panic);
            }
        }));
    });
    QUIET.set(true);
    let done = catch_unwind(AssertUnwindSafe(work));
    QUIET.set(false);
    done.map_err(|panic| panic_message(panic.as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In the words of cubecl 0.11.3, the CUDA driver and Rust's allocator.
    #[test]
    fn want_of_memory_is_known_by_all_its_names() {
        for message in [
            "CUDA_ERROR_OUT_OF_MEMORY",
            "out of device memory allocating 1073741824 bytes",
            "can't allocate buffer of size: 99999999999",
            "An out-of-memory error happened during launch",
            "memory allocation of 1099511627776 bytes failed",
        ] {
            assert!(is_out_of_memory(message), "{message}");
        }
        assert!(!is_out_of_memory("an illegal memory access was encountered"));
    }

    #[test]
    fn a_quiet_panic_is_an_error() {
        assert_eq!(quietly(|| 7), Ok(7));
        assert_eq!(quietly(|| -> () { panic!("no {}", "library") }), Err("no library".to_owned()));
    }
}
