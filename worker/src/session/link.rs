//! The connection to the coordinator: waiting to dial, dialling, or up. Whoever is up is heard through
//! [`Link::next`], which may be dropped and called again without losing anything.

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
    config: ClientConfig,
    state: State,
    backoff: Backoff,
}

impl Link {
    /// A link that dials at once.
    pub(super) fn new(config: ClientConfig, most_backoff: Duration, key: &str) -> Self {
        let backoff = Backoff::new(FIRST_PAUSE, most_backoff, key);
        Self { config, state: State::Waiting(Box::pin(sleep(Duration::ZERO))), backoff }
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
        self.state = State::Dialling(Box::pin(open(self.config.clone(), hello)));
    }

    /// Closes whatever is open and pauses before dialling again.
    pub(super) fn close(&mut self) {
        self.state = State::Waiting(Box::pin(sleep(self.backoff.next_pause())));
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
