//! Following one task to its end, whatever happens to the connection or to the coordinator at its other end.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};
use tonic::Streaming;

use crate::backoff::Backoff;
use crate::client::{Client, ClientError};
use crate::ids::TaskId;
use crate::proto::{Task, TaskState, WatchTaskResponse};

/// How long a watch goes on trying to reach a coordinator that is away.
const RECONNECT_FOR: Duration = Duration::from_secs(60);
/// For the answer to the opening of a watch.
const OPEN_TIMEOUT: Duration = Duration::from_secs(10);

/// Whether a task in this state will never change again.
#[must_use]
pub fn is_terminal(state: TaskState) -> bool {
    matches!(
        state,
        TaskState::Succeeded
            | TaskState::Failed
            | TaskState::Cancelled
            | TaskState::Quarantined
            | TaskState::Expired
    )
}

/// A task's changes from a revision on. Reconnects with the last revision seen as its cursor: where the client knows
/// several coordinators, with the next one at once, and after a pause when all have been tried.
#[derive(Debug)]
pub struct TaskWatch {
    client: Client,
    id: TaskId,
    revision: u64,
    finished: bool,
    stream: Option<Streaming<WatchTaskResponse>>,
    /// The coordinator that was asked last.
    asked: String,
    backoff: Backoff,
    away_since: Option<Instant>,
    /// Coordinators tried since the last change or pause.
    tried: usize,
}

impl TaskWatch {
    pub(crate) fn new(client: Client, id: TaskId, after_revision: u64) -> Self {
        let backoff =
            Backoff::new(Duration::from_millis(100), Duration::from_secs(2), &TaskId::generate().to_string());
        Self {
            client,
            id,
            revision: after_revision,
            finished: false,
            stream: None,
            asked: String::new(),
            backoff,
            away_since: None,
            tried: 0,
        }
    }

    /// The next change; `None` after the terminal one. Dropping the future loses nothing but time.
    pub async fn next(&mut self) -> Result<Option<Task>, ClientError> {
        while !self.finished {
            let error = match self.receive().await {
                Ok(Some(task)) => {
                    self.revision = task.revision;
                    self.finished = is_terminal(task.state());
                    self.away_since = None;
                    self.tried = 0;
                    self.backoff.reset();
                    return Ok(Some(task));
                }
                // the coordinator ended the stream without a terminal state: it is going away
                Ok(None) => None,
                Err(error) if error.is_transient() => Some(error),
                Err(error) => return Err(error),
            };
            self.stream = None;
            self.client.move_on_from(&self.asked);
            let away_since = *self.away_since.get_or_insert_with(Instant::now);
            if let Some(error) = error.filter(|_| away_since.elapsed() > RECONNECT_FOR) {
                return Err(error);
            }
            self.tried += 1;
            if self.tried >= self.client.server_count() {
                self.tried = 0;
                sleep(self.backoff.next_pause()).await;
            }
        }
        Ok(None)
    }

    async fn receive(&mut self) -> Result<Option<Task>, ClientError> {
        if self.stream.is_none() {
            self.asked = self.client.address().to_owned();
            let opening = timeout(OPEN_TIMEOUT, self.client.watch_task_once(self.id, self.revision));
            let opened = opening
                .await
                .map_err(|_| ClientError::TimedOut { address: self.asked.clone(), after: OPEN_TIMEOUT })?;
            self.stream = Some(opened?);
        }
        let Some(stream) = self.stream.as_mut() else { return Ok(None) };
        let message = stream.message().await.map_err(|status| self.client.stream_error(status))?;
        match message {
            None => Ok(None),
            Some(WatchTaskResponse { task: Some(task), .. }) => Ok(Some(task)),
            Some(WatchTaskResponse { task: None, .. }) => Err(ClientError::Incomplete("the watched task")),
        }
    }
}
