//! The kernels that a piece of work launches on a card: which, how often, and for how long each ran.
//!
//! By cubecl's observer of launches, with two events around every kernel that are read when the work is done: kernels run back
//! to back as without it, but launching one takes longer, so the sum of the kernels' times is the device's work and the
//! time of the whole piece is not what it is otherwise. A build without CUDA launches nothing.

use std::time::Duration;

/// All launches of one kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kernel {
    /// The path of its type, generic arguments and all.
    pub name: String,
    /// How often it was launched.
    pub launches: u64,
    /// How many of the launches could be timed.
    pub timed: u64,
    /// How long those ran, together.
    pub time: Duration,
}

/// Does the work and tells which kernels it launched, on every thread, sorted by their names. The work has to wait for the
/// device at its end.
#[cfg(feature = "cuda")]
pub fn watch<T>(work: impl FnOnce() -> T) -> (T, Vec<Kernel>) {
    cuda::watch(work)
}

/// Does the work; there are no kernels to tell of.
#[cfg(not(feature = "cuda"))]
pub fn watch<T>(work: impl FnOnce() -> T) -> (T, Vec<Kernel>) {
    (work(), Vec::new())
}

#[cfg(feature = "cuda")]
mod cuda {
    use std::collections::BTreeMap;
    use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
    use std::time::Duration;

    use cubecl::future::block_on;
    use cubecl::logging::{LaunchObservation, LaunchObserver, ProfileDuration, TimingMethod, TimingRequest};

    use super::Kernel;

    pub(super) fn watch<T>(work: impl FnOnce() -> T) -> (T, Vec<Kernel>) {
        let watcher = Arc::new(Watcher::default());
        let watching = LaunchObservation::new(Arc::<Watcher>::clone(&watcher));
        let made = work();
        drop(watching);
        (made, watcher.kernels())
    }

    #[derive(Default)]
    struct Watcher(Mutex<Seen>);

    #[derive(Default)]
    struct Seen {
        kernels: BTreeMap<&'static str, Kernel>,
        unread: Vec<(&'static str, ProfileDuration)>,
    }

    impl Watcher {
        fn seen(&self) -> MutexGuard<'_, Seen> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner)
        }

        fn kernels(&self) -> Vec<Kernel> {
            let mut seen = self.seen();
            for (name, time) in std::mem::take(&mut seen.unread) {
                if let Some(ticks) = block_on(time.resolve()) {
                    seen.kernel(name).timed(ticks.duration());
                }
            }
            std::mem::take(&mut seen.kernels).into_values().collect()
        }
    }

    impl Seen {
        fn kernel(&mut self, name: &'static str) -> &mut Kernel {
            let unseen = || Kernel { name: name.to_owned(), launches: 0, timed: 0, time: Duration::ZERO };
            self.kernels.entry(name).or_insert_with(unseen)
        }
    }

    impl Kernel {
        fn timed(&mut self, time: Duration) {
            self.timed += 1;
            self.time += time;
        }
    }

    impl LaunchObserver for Watcher {
        fn launched(&self, kernel: &'static str) {
            self.seen().kernel(kernel).launches += 1;
        }

        fn timing(&self) -> TimingRequest {
            TimingRequest::Deferred
        }

        fn profiled(&self, kernel: &'static str, time: ProfileDuration) {
            self.seen().unread.push((kernel, time));
        }

        /// In place of the above where cubecl's own log of profiles is on.
        fn timed(&self, kernel: &'static str, time: Duration, _: TimingMethod) {
            self.seen().kernel(kernel).timed(time);
        }
    }
}
