//! What the errors of server and connection mean to us.

use likeness_shared::redis_address::ConnectError;
use redis::{ErrorKind, RedisError};

use crate::store::StoreError;

/// What to do about something that was sent and gave no result.
#[derive(Debug)]
pub(super) enum Fault {
    /// Connect anew (which asks anew who is primary) and try again: the server may be back, or another one be primary.
    Reconnect(StoreError),
    /// Trying again would not help.
    Final(StoreError),
}

impl Fault {
    pub(super) fn of(error: &RedisError, address: &str) -> Self {
        let away = |reason: String| StoreError::Unavailable { reason };
        match server_code(error).as_deref() {
            Some("READONLY") => Self::Reconnect(away(format!(
                "the Redis at {address} is a replica: it was demoted, or the address does not lead to the primary"
            ))),
            Some("LOADING") => {
                Self::Reconnect(away(format!("the Redis at {address} is still reading its data")))
            }
            Some("MASTERDOWN" | "TRYAGAIN" | "NOSCRIPT" | "NOREPLICAS" | "UNBLOCKED") => {
                Self::Reconnect(away(format!("the Redis at {address} is not ready: {error}")))
            }
            Some("OOM") => Self::Final(StoreError::MemoryFull),
            Some("MISCONF") => Self::Final(away(format!(
                "the Redis at {address} cannot write to its disk: see its log, and free some space"
            ))),
            Some("NOAUTH" | "WRONGPASS" | "NOPERM") => Self::Final(away(format!(
                "the Redis at {address} wants another user or password than the store's URL has"
            ))),
            Some(_) => Self::Final(away(format!("the Redis at {address} answers: {error}"))),
            None => Self::of_connection(error, address),
        }
    }

    /// There is no connection to a primary.
    pub(super) fn of_connecting(error: &ConnectError) -> Self {
        match error {
            ConnectError::Server { address, error } => Self::of(error, address),
            // a failover takes its time
            ConnectError::Replica { .. } | ConnectError::NoPrimary { .. } => {
                Self::Reconnect(StoreError::Unavailable { reason: error.to_string() })
            }
        }
    }

    fn of_connection(error: &RedisError, address: &str) -> Self {
        let away = |reason: String| StoreError::Unavailable { reason };
        match error.kind() {
            ErrorKind::AuthenticationFailed | ErrorKind::InvalidClientConfig => {
                Self::Final(away(format!("the Redis at {address} refuses the connection: {error}")))
            }
            _ if error.is_timeout() => {
                Self::Reconnect(away(format!("the Redis at {address} does not answer in time")))
            }
            _ if error.is_connection_refusal() => {
                Self::Reconnect(away(format!("nothing listens at {address}: is Redis running there?")))
            }
            _ => Self::Reconnect(away(format!("the connection to the Redis at {address} broke: {error}"))),
        }
    }

    pub(super) fn into_error(self) -> StoreError {
        match self {
            Self::Reconnect(error) | Self::Final(error) => error,
        }
    }
}

/// The code with which the server answered, be it to one command or to one of many.
fn server_code(error: &RedisError) -> Option<String> {
    if let Some(code) = error.code() {
        return Some(code.to_owned());
    }
    let errors = error.clone().into_server_errors()?;
    errors.first().map(|(_, error)| error.code().to_owned())
}

/// An answer that is not what was asked for.
pub(super) fn unreadable(error: impl std::fmt::Display) -> StoreError {
    StoreError::Damaged { reason: format!("an answer of Redis cannot be read: {error}") }
}
