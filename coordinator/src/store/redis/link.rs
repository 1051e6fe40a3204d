//! The way to the server: one connection that many operations share, made anew whenever it fails. A new one goes to
//! whoever is primary at that moment; one that leads to a server that was demoted is dropped.
//!
//! Whatever is sent may be sent again when its answer was lost, so everything that goes through here must be safe to
//! repeat. A caller waits for a server that is away no longer than [`PATIENCE`] and one command's time.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use likeness_shared::redis_address::{Connected, Connector, Patience};
use redis::aio::MultiplexedConnection;
use redis::{Pipeline, RedisResult, ScriptInvocation, Value};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep};

use super::faults::Fault;
use super::settings::RedisSettings;
use crate::store::StoreError;

/// For a server that is away to come back while an operation waits.
const PATIENCE: Duration = Duration::from_millis(1500);
/// Before the second attempt; doubled for each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
/// Between attempts, at most.
const LONGEST_PAUSE: Duration = Duration::from_millis(200);

/// What is sent, and repeated if need be.
#[derive(Clone, Copy)]
pub(super) enum Exchange<'a> {
    /// Commands, answered by a list of their answers.
    Commands(&'a Pipeline),
    /// A script, answered by its answer.
    Script(&'a ScriptInvocation<'a>),
}

/// The connection there is, and how the last attempt to make one failed.
#[derive(Default)]
struct Slot {
    connection: Option<(u64, Connected)>,
    failed: Option<(Instant, StoreError)>,
}

/// A connection and how to make it again.
pub(super) struct Link {
    connector: Connector,
    slot: Mutex<Slot>,
    /// Whether the server was out of reach since this was last asked.
    was_away: AtomicBool,
    /// Commits whose answers do not arrive.
    #[cfg(test)]
    pub(super) answers_to_lose: std::sync::atomic::AtomicUsize,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").field("connector", &self.connector).finish_non_exhaustive()
    }
}

impl Link {
    /// Connects with the first command. `answer_within` = for one command.
    pub(super) fn new(settings: &RedisSettings, answer_within: Duration) -> Result<Self, StoreError> {
        let patience = Patience { connect: settings.connect_timeout, answer: answer_within };
        let connector = Connector::new(settings.address.clone(), &settings.sentinel_password, patience);
        let connector = connector.map_err(|error| StoreError::Unsuitable {
            address: settings.address.to_string(),
            reason: error.to_string(),
        })?;
        Ok(Self {
            connector,
            slot: Mutex::new(Slot::default()),
            was_away: AtomicBool::new(false),
            #[cfg(test)]
            answers_to_lose: std::sync::atomic::AtomicUsize::new(0),
        })
    }

    /// Host and port, or the service and its sentinels, for messages.
    pub(super) fn place(&self) -> String {
        self.connector.place()
    }

    /// Whether the server was out of reach since this was last asked.
    pub(super) fn take_was_away(&self) -> bool {
        self.was_away.swap(false, Ordering::SeqCst)
    }

    /// Says that the server has been out of reach.
    pub(super) fn note_away(&self) {
        self.was_away.store(true, Ordering::SeqCst);
    }

    /// Sends and waits for the answer; sends again over a new connection while there is hope.
    pub(super) async fn ask(&self, exchange: Exchange<'_>) -> Result<Value, StoreError> {
        self.ask_acknowledged(exchange, None).await
    }

    /// Sends once; a failure is the caller's to deal with.
    pub(super) async fn ask_once(&self, exchange: Exchange<'_>) -> Result<Value, StoreError> {
        self.attempt(exchange, None).await.map_err(Fault::into_error)
    }

    /// As [`Self::ask`], and then waits on the same connection until so many replicas have all that was written before.
    pub(super) async fn ask_acknowledged(
        &self,
        exchange: Exchange<'_>,
        replicas: Option<(u32, Duration)>,
    ) -> Result<Value, StoreError> {
        let until = Instant::now() + PATIENCE;
        let mut pause = FIRST_PAUSE;
        loop {
            let fault = match self.attempt(exchange, replicas).await {
                Ok(answer) => return Ok(answer),
                Err(Fault::Final(error)) => return Err(error),
                Err(Fault::Reconnect(error)) => error,
            };
            self.note_away();
            if Instant::now() + pause > until {
                return Err(fault);
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn attempt(
        &self,
        exchange: Exchange<'_>,
        replicas: Option<(u32, Duration)>,
    ) -> Result<Value, Fault> {
        let (number, Connected { mut connection, address }) = self.connection().await?;
        let answered = send(&mut connection, exchange).await;
        #[cfg(test)]
        let answered = self.maybe_lost(answered);
        let fault = match answered {
            Ok(answer) => match replicas {
                None => return Ok(answer),
                Some((replicas, within)) => match wait(&mut connection, replicas, within).await {
                    Ok(having) if having >= replicas => return Ok(answer),
                    Ok(having) => return Err(Fault::Final(too_few(having, replicas))),
                    Err(error) => Fault::of(&error, &address),
                },
            },
            Err(error) => Fault::of(&error, &address),
        };
        if matches!(fault, Fault::Reconnect(_)) {
            self.forget(number).await;
        }
        Err(fault)
    }

    async fn connection(&self) -> Result<(u64, Connected), Fault> {
        let mut slot = self.slot.lock().await;
        if let Some((number, connection)) = &slot.connection {
            return Ok((*number, connection.clone()));
        }
        // many wait here while the server is away: one attempt answers them all
        if let Some((at, error)) = &slot.failed
            && at.elapsed() < FIRST_PAUSE
        {
            return Err(Fault::Reconnect(error.clone()));
        }
        match self.connector.connect().await {
            Ok(connected) => {
                let number = rand::random();
                *slot = Slot { connection: Some((number, connected.clone())), failed: None };
                Ok((number, connected))
            }
            Err(error) => {
                let fault = Fault::of_connecting(&error);
                if let Fault::Reconnect(error) = &fault {
                    slot.failed = Some((Instant::now(), error.clone()));
                }
                Err(fault)
            }
        }
    }

    /// Lets the connection go: the next one leads to whoever is primary then.
    pub(super) async fn leave(&self) {
        self.slot.lock().await.connection = None;
    }

    /// Lets a connection go, unless another has taken its place.
    async fn forget(&self, number: u64) {
        let mut slot = self.slot.lock().await;
        if slot.connection.as_ref().is_some_and(|(held, _)| *held == number) {
            slot.connection = None;
        }
    }

    /// As if the connection broke after a commit and before its answer.
    #[cfg(test)]
    fn maybe_lost(&self, answered: RedisResult<Value>) -> RedisResult<Value> {
        let committed = matches!(&answered, Ok(Value::BulkString(answer)) if answer == b"OK");
        let left = &self.answers_to_lose;
        let lost = committed
            && left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
        if lost { Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset).into()) } else { answered }
    }
}

async fn send(connection: &mut MultiplexedConnection, exchange: Exchange<'_>) -> RedisResult<Value> {
    match exchange {
        Exchange::Commands(pipeline) => {
            pipeline.query_async::<Vec<Value>>(connection).await.map(Value::Array)
        }
        Exchange::Script(script) => script.invoke_async(connection).await,
    }
}

/// How many replicas have what this connection has written.
async fn wait(connection: &mut MultiplexedConnection, replicas: u32, within: Duration) -> RedisResult<u32> {
    let milliseconds = u64::try_from(within.as_millis()).unwrap_or(u64::MAX);
    redis::cmd("WAIT").arg(replicas).arg(milliseconds).query_async(connection).await
}

fn too_few(having: u32, replicas: u32) -> StoreError {
    let reason = format!(
        "the change is stored, but only {having} of {replicas} replicas have it: repeat the request with the same id"
    );
    StoreError::Unavailable { reason }
}
