//! What can happen in a random life, and how often.

use proptest::prelude::*;

/// Something that happens to a fleet.
#[derive(Debug, Clone)]
pub(in crate::store) enum Step {
    /// A generation draws the newest person of the user, if there is one.
    Submit {
        user: u8,
        request: u8,
        inversion: bool,
        /// Seconds, if any.
        delay: u8,
        start_within: Option<u8>,
    },
    Claim {
        worker: u8,
        most: usize,
    },
    Beat {
        lease: usize,
        step: u32,
        checkpoint: bool,
    },
    Settle {
        lease: usize,
        end: u8,
        times: u8,
    },
    WorkerLost {
        worker: u8,
    },
    Undelivered {
        lease: usize,
    },
    Readopt {
        worker: u8,
        restarted: bool,
        held: usize,
    },
    Cancel {
        task: usize,
    },
    Hold {
        task: usize,
    },
    Release {
        task: usize,
    },
    Retry {
        task: usize,
    },
    /// A worker's process opens a session.
    Join {
        worker: u8,
        restarted: bool,
    },
    Seen {
        worker: u8,
    },
    Drain {
        worker: u8,
        finish_running: bool,
    },
    Undrain {
        worker: u8,
    },
    Import {
        user: u8,
        request: u8,
    },
    DeletePerson {
        person: usize,
    },
    Pass {
        seconds: u64,
    },
    Expire,
    FallDue,
    Sweep,
    Restart,
}

pub(in crate::store) fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..3u8, 0..12u8, any::<bool>(), timing()).prop_map(
            |(user, request, inversion, (delay, start_within))| Step::Submit {
                user, request, inversion, delay, start_within,
            }
        ),
        4 => (0..3u8, 1..3usize).prop_map(|(worker, most)| Step::Claim { worker, most }),
        4 => (0..6usize, 0..50u32, any::<bool>())
            .prop_map(|(lease, step, checkpoint)| Step::Beat { lease, step, checkpoint }),
        4 => (0..6usize, 0..7u8, 1..3u8).prop_map(|(lease, end, times)| Step::Settle { lease, end, times }),
        2 => (0..3u8).prop_map(|worker| Step::WorkerLost { worker }),
        1 => (0..12usize).prop_map(|lease| Step::Undelivered { lease }),
        2 => (0..3u8, any::<bool>(), 0..12usize)
            .prop_map(|(worker, restarted, held)| Step::Readopt { worker, restarted, held }),
        2 => (0..12usize).prop_map(|task| Step::Cancel { task }),
        2 => (0..12usize).prop_map(|task| Step::Hold { task }),
        2 => (0..12usize).prop_map(|task| Step::Release { task }),
        2 => (0..12usize).prop_map(|task| Step::Retry { task }),
        3 => (0..3u8, any::<bool>()).prop_map(|(worker, restarted)| Step::Join { worker, restarted }),
        1 => (0..3u8).prop_map(|worker| Step::Seen { worker }),
        1 => (0..3u8, any::<bool>())
            .prop_map(|(worker, finish_running)| Step::Drain { worker, finish_running }),
        2 => (0..3u8).prop_map(|worker| Step::Undrain { worker }),
        1 => (0..3u8, 0..3u8).prop_map(|(user, request)| Step::Import { user, request }),
        1 => (0..4usize).prop_map(|person| Step::DeletePerson { person }),
        2 => (0..15u64).prop_map(|seconds| Step::Pass { seconds }),
        2 => Just(Step::Expire),
        3 => Just(Step::FallDue),
        1 => Just(Step::Sweep),
        1 => Just(Step::Restart),
    ]
}

/// Most tasks may start at once and wait as long as they must.
fn timing() -> impl Strategy<Value = (u8, Option<u8>)> {
    prop_oneof![
        3 => Just((0, None)),
        1 => (1..20u8).prop_map(|delay| (delay, None)),
        1 => (0..10u8, 1..20u8).prop_map(|(delay, more)| (delay, Some(delay + more))),
    ]
}
