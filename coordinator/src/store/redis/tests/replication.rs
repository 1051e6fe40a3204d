//! Replicas: what waits for them, and what happens when a primary becomes one.

use std::net::SocketAddr;
use std::sync::Mutex;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::*;
use crate::store::conformance::generation;

const UP: &str = "master_link_status:up";

fn replica_of(primary: &RedisServer) -> RedisServer {
    let replica = RedisServer::start();
    replica.command(&["REPLICAOF", "127.0.0.1", &primary.port().to_string()]);
    replica.await_replication(UP);
    primary.await_replication("state=online");
    replica
}

#[tokio::test]
async fn a_submit_is_acknowledged_only_once_the_promised_replicas_have_it() {
    let primary = RedisServer::start();
    let promising = RedisSettings { replicas: 1, ..settings(primary.url(), "test", RedisClock::Server) };
    let refused = RedisStore::open(promising.clone()).await.unwrap_err();
    assert!(refused.to_string().contains("it has 0 replicas, and 1 are promised"), "{refused}");
    let replica = replica_of(&primary);
    let store = RedisStore::open(promising.clone()).await.unwrap();
    let hasty = RedisSettings { command_timeout: Duration::from_millis(500), ..promising.clone() };
    let hasty = RedisStore::open(hasty).await.unwrap();
    let kept = store.submit(generation("anna", "r1")).await.unwrap().task.id;

    // connected, and without a word
    replica.pause();
    for lost in [1, 0] {
        hasty.acknowledging.as_ref().unwrap().link.answers_to_lose.store(lost, Ordering::SeqCst);
        let refused = hasty.submit(generation("anna", "r2")).await.unwrap_err();
        assert!(refused.to_string().contains("only 0 of 1 replicas have it"), "{refused}");
    }
    replica.resume();
    let again = store.submit(generation("anna", "r2")).await.unwrap();
    assert!(again.repeated, "it was stored, and is acknowledged by now");

    // the primary is lost, and the replica has all that was acknowledged
    drop(primary);
    replica.command(&["REPLICAOF", "NO", "ONE"]);
    let settings = RedisSettings { url: replica.url(), replicas: 0, ..promising };
    let store = RedisStore::open(settings).await.unwrap();
    assert!(store.task(kept).await.is_ok() && store.task(again.task.id).await.is_ok());
}

#[tokio::test]
async fn a_replica_is_refused_at_the_start() {
    let primary = RedisServer::start();
    let replica = replica_of(&primary);
    let refused = RedisStore::open(settings(replica.url(), "test", RedisClock::Server)).await.unwrap_err();
    assert!(refused.to_string().contains("it is a replica"), "{refused}");
}

/// An address that leads to one server and then to another, as a name does after a failover. Connections that are
/// open stay where they are.
struct Signpost {
    address: SocketAddr,
    target: Arc<Mutex<u16>>,
    _forwarding: JoinSet<()>,
}

impl Signpost {
    async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let target = Arc::new(Mutex::new(port));
        let its_target = Arc::clone(&target);
        let mut forwarding = JoinSet::new();
        forwarding.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (mut from, _) = listener.accept().await.unwrap();
                let port = *its_target.lock().unwrap();
                connections.spawn(async move {
                    let mut to = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                    drop(tokio::io::copy_bidirectional(&mut from, &mut to).await);
                });
            }
        });
        Self { address, target, _forwarding: forwarding }
    }
}

#[tokio::test]
async fn a_demoted_primary_is_left_for_the_new_one() {
    let (first, second);
    first = RedisServer::start();
    second = replica_of(&first);
    let signpost = Signpost::to(first.port()).await;
    let url = format!("redis://{}/0", signpost.address);
    let store = RedisStore::open(settings(url, "test", RedisClock::Server)).await.unwrap();
    let before = store.submit(generation("anna", "r1")).await.unwrap().task.id;
    second.catch_up_with(&first);
    second.command(&["REPLICAOF", "NO", "ONE"]);
    first.command(&["REPLICAOF", "127.0.0.1", &second.port().to_string()]);
    first.await_replication(UP);

    let refused = store.submit(generation("anna", "r2")).await.unwrap_err().to_string();
    assert!(refused.contains("is a replica: it was demoted"), "{refused}");
    *signpost.target.lock().unwrap() = second.port();
    let after = store.submit(generation("anna", "r2")).await.unwrap();
    assert!(!after.repeated);
    assert!(store.task(before).await.is_ok());
    let keys = second.command(&["EXISTS", &format!("{{likeness:test}}:task:{}", after.task.id)]);
    assert!(keys.starts_with(":1"), "the new primary has it: {keys}");
}
