//! Asks the workers what they hold, after the store went back to older data.
//!
//! A worker says what it holds when it greets, so each is asked to connect anew, here or elsewhere. The store takes
//! back what it no longer knew.

use std::time::Duration;

use likeness_shared::proto::GoAway;
use likeness_shared::proto::coordinator_message::Message;

use crate::api::Shared;

/// For a worker to have connected anew.
const GRACE: Duration = Duration::from_secs(1);

/// Runs until the coordinator stops.
pub(crate) async fn ask_workers(shared: Shared) {
    let mut health = shared.store.health();
    let mut asked = health.borrow_and_update().generation;
    loop {
        let changed = tokio::select! {
            () = shared.stop.cancelled() => return,
            changed = health.changed() => changed,
        };
        if changed.is_err() {
            // a store that says nothing more has nothing to ask for
            shared.stop.cancelled().await;
            return;
        }
        let generation = health.borrow_and_update().generation;
        if generation == asked {
            continue;
        }
        asked = generation;
        tracing::warn!(
            generation,
            "the task store went back to older data: every worker is asked what it holds"
        );
        let go_away = GoAway {
            reason: "the task store lost its newest changes: greet anew with what you hold".to_owned(),
            grace: prost_types::Duration::try_from(GRACE).ok(),
        };
        shared.roster.send_all(&Message::GoAway(go_away));
    }
}
