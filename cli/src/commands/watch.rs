//! Following a task to its end, over broken connections and restarts of the coordinator.

use std::path::PathBuf;

use anyhow::Context;
use likeness_shared::client::Client;
use likeness_shared::ids::TaskId;
use likeness_shared::proto::{Task, TaskState, task};
use likeness_shared::watch::is_terminal;

use crate::commands::interrupt::interrupted;
use crate::commands::photos::dropped::{self, Dropped};
use crate::commands::previews::Previews;
use crate::exit::{CliError, Exit};
use crate::output::Voice;
use crate::progress::Meter;
use crate::views;

/// Calls `on_change` with the task as it is and after every change, and returns it when it is terminal.
pub(crate) async fn follow(
    client: &Client,
    id: TaskId,
    mut on_change: impl AsyncFnMut(&Task) -> anyhow::Result<()>,
) -> anyhow::Result<Task> {
    let mut changes = client.watch_task(id, 0);
    let mut last = None;
    while let Some(task) = changes.next().await? {
        on_change(&task).await?;
        last = Some(task);
    }
    last.context("the server ended the watch without a word about the task")
}

/// Follows a task with a meter on stderr; keeps its previews where they are wanted, and says which of its photos (these files) are not
/// learned from.
pub(crate) async fn with_meter(
    client: &Client,
    id: TaskId,
    label: &str,
    (photos, mut previews): (&[PathBuf], Option<Previews>),
    voice: Voice,
) -> anyhow::Result<Task> {
    let mut meter = Meter::new(voice, label);
    let mut dropped = Dropped::new(photos);
    let ended = follow(client, id, async |task| {
        if let Some(previews) = &mut previews {
            previews.keep(client, task, voice).await;
        }
        dropped.tell(task, voice);
        if !is_terminal(task.state()) {
            meter.show(views::standing(task));
        }
        Ok(())
    })
    .await?;
    meter.finish(views::state_name(ended.state()));
    Ok(ended)
}

/// Does the same until Ctrl-C, which leaves the task alone and says how to go on.
pub(crate) async fn until_interrupted(
    client: &Client,
    id: TaskId,
    label: &str,
    (photos, previews): (&[PathBuf], Option<Previews>),
    voice: Voice,
) -> anyhow::Result<Task> {
    tokio::select! {
        ended = with_meter(client, id, label, (photos, previews), voice) => ended,
        () = interrupted() => {
            let message = format!(
                "interrupted; the task goes on: `likeness task watch {id}` follows it, `likeness task cancel {id}` stops it"
            );
            Err(CliError::new(Exit::Interrupted, message).into())
        }
    }
}

/// What the end of a task means for the program: an error that says why, unless it succeeded.
pub(crate) fn outcome(task: &Task, voice: Voice) -> anyhow::Result<Exit> {
    let message = match (task.state(), &task.outcome) {
        (TaskState::Succeeded, outcome) => {
            if let Some(task::Outcome::GenerationResult(result)) = outcome {
                result.warnings.iter().for_each(|warning| voice.warn(warning));
            }
            return Ok(Exit::Ok);
        }
        (_, Some(task::Outcome::Failure(failure))) => {
            // the failure names every photo, which has been told before
            if let Some(refused) = dropped::report(task).and_then(|report| report.refused.as_ref())
                && refused.code == failure.code
            {
                let text = format!("task {} failed: {} ({})", task.id, refused.sentence, refused.code);
                return Err(CliError::new(Exit::TaskFailed, format!("{text}; {}", refused.hint)).into());
            }
            format!("task {} failed: {} ({})", task.id, failure.message, failure.code)
        }
        (state, _) => format!("task {} was {}", task.id, views::state_name(state)),
    };
    Err(CliError::new(Exit::TaskFailed, message).into())
}
