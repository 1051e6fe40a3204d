//! The connection to a coordinator: waiting to dial, dialling, or up. Whoever is up is heard through
//! [`Link::next`], which may be dropped and called again without losing anything.
//!
//! Any coordinator of the fleet will do. When one is lost, goes away or cannot be reached, the next one of the list
//! is dialled at once; a pause comes only when all of them have been tried.

use std::pin::Pin;
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use likeness_shared::backoff::Backoff;
use likeness_shared::client::{Client, ClientConfig, ClientError};
use likeness_shared::proto::coordinator_message::Message as FromCoordinator;
use likeness_shared::proto::worker_message::Message as FromWorker;
use likeness_shared::proto::{CoordinatorMessage, Hello, Welcome, WorkerMessage};
use tokio::sync::mpsc;
use tokio::time::{Sleep, sleep};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

/// Messages that may wait for the network.
const OUTBOX: usize = 64;
/// First pause before dialling again.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// An open session.
pub(super) struct Connection {
    pub(super) client: Client,
    outbox: mpsc::Sender<WorkerMessage>,
    inbox: Streaming<CoordinatorMessage>,
    /// When the `Hello` was sent that the `Welcome` answers.
    pub(super) greeted: Instant,
}

/// Why a session could not be opened.
#[derive(Debug, thiserror::Error)]
pub(super) enum DialError {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("no coordinator is configured")]
    NoCoordinator,
    #[error("the coordinator did not say welcome within {0:?}")]
    Silent(Duration),
    #[error("the coordinator's first message is no welcome: are worker and coordinator of the same version?")]
    NoWelcome,
    #[error("the coordinator speaks protocol {0}, this worker {1} to {2}: use matching versions")]
    Protocol(u32, u32, u32),
}

/// What has happened to the link.
pub(super) enum LinkEvent {
    /// The pause is over: say what to greet with.
    TimeToDial,
    /// The session is open.
    Up(Box<Welcome>),
    /// Dialling failed; a pause has begun.
    Failed(DialError),
    /// The coordinator says something.
    Message(Box<FromCoordinator>),
    /// The session has ended; a pause has begun.
    Down(String),
}

enum State {
    Waiting(Pin<Box<Sleep>>),
    Dialling(BoxFuture<'static, Result<(Connection, Welcome), DialError>>),
    Up(Box<Connection>),
}

/// The link, in one of its states.
pub(super) struct Link {
    coordinators: Coordinators,
    state: State,
    backoff: Backoff,
}

/// Every coordinator of the fleet, and whose turn it is.
struct Coordinators {
    configs: Vec<ClientConfig>,
    turn: usize,
    /// How many have not been tried since the last pause or the last session.
    untried: usize,
}

impl Coordinators {
    /// Begins with one at random, so that workers spread over the coordinators.
    fn new(configs: Vec<ClientConfig>) -> Self {
        let turn = if configs.is_empty() { 0 } else { rand::random_range(0..configs.len()) };
        let untried = configs.len().saturating_sub(1);
        Self { configs, turn, untried }
    }

    fn current(&self) -> Option<&ClientConfig> {
        self.configs.get(self.turn)
    }

    /// Goes on to the next one. True where every one has had its turn.
    fn next(&mut self) -> bool {
        self.turn = (self.turn + 1) % self.configs.len().max(1);
        let all_tried = self.untried == 0;
        self.untried =
            if all_tried { self.configs.len().saturating_sub(1) } else { self.untried.saturating_sub(1) };
        all_tried
    }

    /// This one has answered: should it be lost, every other is worth a try.
    fn answered(&mut self) {
        self.untried = self.configs.len().saturating_sub(1);
    }
}

impl Link {
    /// A link that dials at once.
    pub(super) fn new(coordinators: Vec<ClientConfig>, most_backoff: Duration, key: &str) -> Self {
        let backoff = Backoff::new(FIRST_PAUSE, most_backoff, key);
        let coordinators = Coordinators::new(coordinators);
        Self { coordinators, state: State::Waiting(Box::pin(sleep(Duration::ZERO))), backoff }
    }

    /// The open session.
    pub(super) fn connection(&self) -> Option<&Connection> {
        match &self.state {
            State::Up(connection) => Some(connection),
            _ => None,
        }
    }

    /// Begins to dial with this greeting.
    pub(super) fn dial(&mut self, hello: Hello) {
        let config = self.coordinators.current().cloned();
        self.state =
            State::Dialling(Box::pin(
                async move { open(config.ok_or(DialError::NoCoordinator)?, hello).await },
            ));
    }

    /// Closes whatever is open; then it is the next coordinator's turn, after a pause where all have had theirs.
    pub(super) fn close(&mut self) {
        let all_tried = self.coordinators.next();
        let pause = if all_tried { self.backoff.next_pause() } else { Duration::ZERO };
        self.state = State::Waiting(Box::pin(sleep(pause)));
    }

    /// Sends a message if the session is open. A session that does not drain its outbox is closed.
    pub(super) fn send(&mut self, message: FromWorker) {
        let State::Up(connection) = &self.state else { return };
        if connection.outbox.try_send(WorkerMessage { message: Some(message) }).is_err() {
            tracing::warn!("session does not take messages any more, it is opened anew");
            self.close();
        }
    }

    /// What happens next.
    pub(super) async fn next(&mut self) -> LinkEvent {
        match &mut self.state {
            State::Waiting(pause) => {
                pause.as_mut().await;
                LinkEvent::TimeToDial
            }
            State::Dialling(dialling) => match dialling.await {
                Ok((connection, welcome)) => {
                    self.backoff.reset();
                    self.coordinators.answered();
                    self.state = State::Up(Box::new(connection));
                    LinkEvent::Up(Box::new(welcome))
                }
                Err(error) => {
                    self.close();
                    LinkEvent::Failed(error)
                }
            },
            State::Up(connection) => {
                let reason = match connection.inbox.message().await {
                    Ok(Some(CoordinatorMessage { message: Some(message) })) => {
                        return LinkEvent::Message(Box::new(message));
                    }
                    // A message of a newer protocol.
                    Ok(Some(CoordinatorMessage { message: None })) => return Box::pin(self.next()).await,
                    Ok(None) => "the coordinator closed the session".to_owned(),
                    Err(status) => connection.client.stream_error(status).to_string(),
                };
                self.close();
                LinkEvent::Down(reason)
            }
        }
    }
}

/// Connects, greets, and waits for the welcome.
async fn open(config: ClientConfig, hello: Hello) -> Result<(Connection, Welcome), DialError> {
    let patience = config.connect_timeout;
    let (least, most) = (hello.protocol_min, hello.protocol_max);
    let client = Client::connect_with(config).await?;
    let (outbox, outbound) = mpsc::channel(OUTBOX);
    let greeted = Instant::now();
    let greeting = WorkerMessage { message: Some(FromWorker::Hello(hello)) };
    if outbox.try_send(greeting).is_err() {
        return Err(DialError::NoWelcome);
    }
    let opening = async {
        let mut inbox = client.open_session(ReceiverStream::new(outbound)).await?;
        let first = inbox.message().await.map_err(|status| client.stream_error(status))?;
        Ok::<_, DialError>((inbox, first))
    };
    let (inbox, first) =
        tokio::time::timeout(patience, opening).await.map_err(|_| DialError::Silent(patience))??;
    let Some(CoordinatorMessage { message: Some(FromCoordinator::Welcome(welcome)) }) = first else {
        return Err(DialError::NoWelcome);
    };
    if !(least..=most).contains(&welcome.protocol) {
        return Err(DialError::Protocol(welcome.protocol, least, most));
    }
    Ok((Connection { client, outbox, inbox, greeted }, welcome))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn coordinators(count: usize) -> Coordinators {
        Coordinators::new((0..count).map(|index| ClientConfig::new(format!("host-{index}:1"))).collect())
    }

    #[test]
    fn every_coordinator_is_tried_before_a_pause() {
        let mut three = coordinators(3);
        for _ in 0..2 {
            let first = three.turn;
            assert!(!three.next() && !three.next());
            assert!(three.next(), "all three have had their turn");
            assert_eq!(three.turn, first);
        }
        assert!(!three.next());
        three.answered();
        assert!(!three.next(), "after a session the others are worth a try");
    }

    #[test]
    fn a_single_coordinator_is_never_dialled_without_a_pause() {
        let mut one = coordinators(1);
        assert!(one.next());
        one.answered();
        assert!(one.next());
        assert_eq!(one.turn, 0);
    }

    #[test]
    fn workers_spread_over_the_coordinators() {
        let starts: std::collections::BTreeSet<usize> = (0..200).map(|_| coordinators(3).turn).collect();
        assert_eq!(starts.len(), 3);
    }
}
