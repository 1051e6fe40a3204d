//! An address that leads to one server and then to another, as a name does after a failover.

#![allow(dead_code)] // not every test uses everything
#![allow(clippy::unwrap_used)] // a helper that fails fails its test

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::redis_server::RedisServer;

/// Connections that are open stay where they are.
pub(crate) struct Signpost {
    address: SocketAddr,
    target: Arc<Mutex<u16>>,
    _forwarding: JoinSet<()>,
}

impl Signpost {
    pub(crate) async fn to(server: &RedisServer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let target = Arc::new(Mutex::new(server.port()));
        let its_target = Arc::clone(&target);
        let mut forwarding = JoinSet::new();
        forwarding.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (mut from, _) = listener.accept().await.unwrap();
                let port = *its_target.lock().unwrap();
                connections.spawn(async move {
                    // a server that is gone ends the connection, as it would without the signpost
                    if let Ok(mut to) = TcpStream::connect(("127.0.0.1", port)).await {
                        drop(tokio::io::copy_bidirectional(&mut from, &mut to).await);
                    }
                });
            }
        });
        Self { address, target, _forwarding: forwarding }
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://{}/0", self.address)
    }

    pub(crate) fn turn_to(&self, server: &RedisServer) {
        *self.target.lock().unwrap() = server.port();
    }
}
