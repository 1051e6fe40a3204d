//! Tasks that a command has in flight, to cancel them where it ends early.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use likeness_shared::client::Client;
use likeness_shared::ids::TaskId;
use likeness_shared::proto::Task;

use crate::commands::watch;
use crate::output::Voice;

/// The tasks. Clones are one set.
#[derive(Clone, Default)]
pub(crate) struct UnderWay(Arc<Mutex<BTreeSet<TaskId>>>);

impl UnderWay {
    /// Follows a task to its end; until then it is under way.
    pub(crate) async fn follow(&self, client: &Client, id: TaskId) -> anyhow::Result<Task> {
        self.note(|ids| ids.insert(id));
        let ended = watch::follow(client, id, async |_| Ok(())).await;
        self.note(|ids| ids.remove(&id));
        ended
    }

    /// Cancels them all, as far as that can be done.
    pub(crate) async fn cancel_all(&self, client: &Client, voice: Voice) {
        for id in self.note(std::mem::take) {
            if let Err(error) = client.cancel_task(id).await {
                voice.warn(format_args!("task {id} could not be cancelled: {error}"));
            }
        }
    }

    fn note<T>(&self, change: impl FnOnce(&mut BTreeSet<TaskId>) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
