//! Connections to the primary of the moment.
//!
//! Nothing is remembered between connections: the name is looked up anew, the sentinels are asked anew, and whoever
//! answers must say that it is a primary. Sentinels are asked all at once, for some may be down or behind; the first
//! primary that one of them names, and that says so itself, is taken.

use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, RedisConnectionInfo,
    RedisError, RedisResult,
};

use super::{RedisAddress, Sentinels, host_and_port};

/// How long to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// For a connection to be made.
    pub connect: Duration,
    /// For a command to be answered.
    pub answer: Duration,
}

/// Why there is no connection to a primary.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ConnectError {
    /// The server cannot be reached, or refuses.
    #[error("the Redis at {address}: {error}")]
    Server {
        /// Host and port.
        address: String,
        /// What happened.
        error: RedisError,
    },
    /// The server is no primary.
    #[error(
        "the Redis at {address} is a replica: it was demoted, or the address does not lead to the primary"
    )]
    Replica {
        /// Host and port.
        address: String,
    },
    /// No sentinel names a primary.
    #[error("no sentinel of {service:?} names its primary: {reason}")]
    NoPrimary {
        /// The service.
        service: String,
        /// What each one said.
        reason: String,
    },
}

/// A connection, and where it leads.
#[derive(Clone)]
pub struct Connected {
    /// To the primary.
    pub connection: MultiplexedConnection,
    /// Host and port.
    pub address: String,
}

/// Makes connections to one address.
#[derive(Clone)]
pub struct Connector {
    address: RedisAddress,
    server: ConnectionInfo,
    sentinel: RedisConnectionInfo,
    patience: Patience,
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connector").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Connector {
    /// Makes nothing yet. An empty `sentinel_password` = the sentinels ask for none.
    pub fn new(address: RedisAddress, sentinel_password: &str, patience: Patience) -> RedisResult<Self> {
        let server = address.server.clone().into_connection_info()?;
        let mut sentinel = RedisConnectionInfo::default();
        if !sentinel_password.is_empty() {
            sentinel = sentinel.set_password(sentinel_password);
        }
        Ok(Self { address, server, sentinel, patience })
    }

    /// Where it leads, for messages: host and port, or the service and its sentinels.
    #[must_use]
    pub fn place(&self) -> String {
        match &self.address.sentinels {
            None => self.server.addr().to_string(),
            Some(Sentinels { service, hosts }) => {
                let hosts: Vec<String> =
                    hosts.iter().map(|(host, port)| host_and_port(host, *port)).collect();
                format!("{service} (sentinels {})", hosts.join(", "))
            }
        }
    }

    /// Connects to whoever is primary at this moment.
    pub async fn connect(&self) -> Result<Connected, ConnectError> {
        let Some(Sentinels { service, hosts }) = &self.address.sentinels else {
            return self.primary_at(self.server.addr().clone()).await;
        };
        let mut answers: FuturesUnordered<_> =
            hosts.iter().map(|(host, port)| self.named_by(host, *port, service)).collect();
        let mut tried: Vec<ConnectionAddr> = Vec::new();
        let mut unfit: Option<ConnectError> = None;
        let mut silent: Vec<String> = Vec::new();
        while let Some(answer) = answers.next().await {
            match answer {
                Ok(named) if tried.contains(&named) => {}
                Ok(named) => {
                    tried.push(named.clone());
                    match self.primary_at(named).await {
                        Ok(connected) => return Ok(connected),
                        Err(error) => unfit = Some(error),
                    }
                }
                Err(reason) => silent.push(reason),
            }
        }
        Err(unfit.unwrap_or_else(|| ConnectError::NoPrimary {
            service: service.clone(),
            reason: silent.join("; "),
        }))
    }

    /// A connection to this server, if it is a primary.
    async fn primary_at(&self, place: ConnectionAddr) -> Result<Connected, ConnectError> {
        let address = place.to_string();
        let refused = |error| ConnectError::Server { address: address.clone(), error };
        let mut connection = self.open(self.server.clone().set_addr(place)).await.map_err(refused)?;
        let facts: String =
            redis::cmd("INFO").arg("replication").query_async(&mut connection).await.map_err(refused)?;
        let primary = facts.lines().any(|line| line.trim() == "role:master");
        if primary { Ok(Connected { connection, address }) } else { Err(ConnectError::Replica { address }) }
    }

    /// Whom one sentinel takes for the primary.
    async fn named_by(&self, host: &str, port: u16, service: &str) -> Result<ConnectionAddr, String> {
        let address = host_and_port(host, port);
        let silent = |error: RedisError| format!("{address}: {error}");
        let place = ConnectionAddr::Tcp(host.to_owned(), port);
        let info = place.into_connection_info().map_err(silent)?.set_redis_settings(self.sentinel.clone());
        let mut connection = self.open(info).await.map_err(silent)?;
        let mut question = redis::cmd("SENTINEL");
        question.arg("get-master-addr-by-name").arg(service);
        let named: Option<(String, u16)> = question.query_async(&mut connection).await.map_err(silent)?;
        let (host, port) = named.ok_or_else(|| format!("{address}: it does not know {service:?}"))?;
        Ok(ConnectionAddr::Tcp(host, port))
    }

    async fn open(&self, info: ConnectionInfo) -> RedisResult<MultiplexedConnection> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.patience.connect))
            .set_response_timeout(Some(self.patience.answer));
        Client::open(info)?.get_multiplexed_async_connection_with_config(&config).await
    }
}
