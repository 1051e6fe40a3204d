//! Addresses, times and HTTP/2 limits of the client's connections.

use std::time::Duration;

use tonic::transport::Endpoint;

use super::ClientError;

/// Bytes of one stream that may be under way.
const STREAM_WINDOW: u32 = 1024 * 1024;
/// Bytes of a whole connection that may be under way: several streams' worth, so that none starves the others.
const CONNECTION_WINDOW: u32 = 4 * 1024 * 1024;
/// Bytes of the headers of one answer: errors carry their details there, and one may name every photo of a task.
const MAX_HEADERS: u32 = 64 * 1024;
/// Bytes of one frame: the least that HTTP/2 allows, so that small messages are not held up by large ones.
const MAX_FRAME: u32 = 16 * 1024;

/// Where the coordinators are and how long to wait for them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientConfig {
    /// Such as `http://127.0.0.1:7878`; `http://` may be left out. Several coordinators of one fleet are separated by
    /// commas: the next one is asked where one cannot be reached.
    pub server: String,
    /// For the connection to stand.
    pub connect_timeout: Duration,
    /// For the answer to one call.
    pub request_timeout: Duration,
    /// Between pings on a quiet connection.
    pub keepalive_interval: Duration,
    /// For the answer to a ping; then the connection counts as dead.
    pub keepalive_timeout: Duration,
}

impl ClientConfig {
    /// The usual times, for the coordinators at `server`.
    pub fn new(server: impl Into<String>) -> Self {
        Self {
            server: server.into(),
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(30),
            keepalive_interval: Duration::from_secs(2),
            keepalive_timeout: Duration::from_secs(3),
        }
    }

    /// Every address of `server`, as `http://HOST:PORT`; fails where one of them cannot be an address. Nothing is dialled.
    pub fn addresses(&self) -> Result<Vec<String>, ClientError> {
        self.server.split(',').map(|server| normalise(server.trim())).collect()
    }
}

/// The address with its scheme, checked.
fn normalise(server: &str) -> Result<String, ClientError> {
    let with_scheme = if server.contains("://") { server.to_owned() } else { format!("http://{server}") };
    let refuse = |reason: String| ClientError::Address { address: server.to_owned(), reason };
    let url = url::Url::parse(&with_scheme).map_err(|error| refuse(error.to_string()))?;
    if url.scheme() != "http" {
        return Err(refuse(format!("the scheme {:?} is not known here", url.scheme())));
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err(refuse("there is no host in it".to_owned()));
    }
    if url.port().is_none() && !with_scheme.trim_end_matches('/').ends_with(":80") {
        return Err(refuse("there is no port in it".to_owned()));
    }
    Ok(with_scheme.trim_end_matches('/').to_owned())
}

pub(super) fn endpoint(address: &str, config: &ClientConfig) -> Result<Endpoint, ClientError> {
    let endpoint = Endpoint::from_shared(address.to_owned())
        .map_err(|error| ClientError::Address { address: address.to_owned(), reason: error.to_string() })?;
    Ok(endpoint
        .connect_timeout(config.connect_timeout)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(config.keepalive_interval)
        .keep_alive_timeout(config.keepalive_timeout)
        .keep_alive_while_idle(true)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .http2_adaptive_window(false)
        .http2_max_header_list_size(MAX_HEADERS)
        .max_frame_size(MAX_FRAME))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_checked_before_anything_is_dialled() {
        assert_eq!(normalise("127.0.0.1:7878").unwrap(), "http://127.0.0.1:7878");
        assert_eq!(normalise("http://[::1]:7878/").unwrap(), "http://[::1]:7878");
        for bad in ["", "localhost", "ftp://localhost:1", "http://:80", "http://a b:1"] {
            let error = normalise(bad).unwrap_err().to_string();
            assert!(error.contains("http://HOST:PORT"), "{bad:?}: {error}");
        }
        let addresses = |servers: &str| ClientConfig::new(servers).addresses();
        assert_eq!(addresses("a:1, http://b:2").unwrap(), ["http://a:1", "http://b:2"]);
        assert!(addresses("a:1,").is_err(), "an empty address among others is a mistake");
    }
}
