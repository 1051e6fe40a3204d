//! A TCP proxy under a test's control, to put between a client and a server: it delays, stops, and cuts.
//!
//! What is stopped is held back as a network does that drops packets: nothing is lost inside a connection that
//! survives, and new connections are accepted and hear nothing. It runs on a thread of its own, so that tests may
//! block.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

/// Connections at one time; more wait to be accepted.
const MOST_CONNECTIONS: usize = 256;
/// Bytes taken over at once.
const PIECE: usize = 16 * 1024;

/// One way through the proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From whoever dialled to the server.
    ToServer,
    /// From the server back.
    ToClient,
}

/// What the proxy does with bytes.
#[derive(Debug, Clone, Default)]
struct Conduct {
    stops_to_server: bool,
    stops_to_client: bool,
    /// Only connections of a smaller number are stopped; `None` = all of them.
    stops_before: Option<u64>,
    delay: Duration,
    /// Connections of an older number are reset.
    cuts: u64,
    target: String,
}

impl Conduct {
    fn stops(&self, direction: Direction, number: u64) -> bool {
        if self.stops_before.is_some_and(|first| number >= first) {
            return false;
        }
        match direction {
            Direction::ToServer => self.stops_to_server,
            Direction::ToClient => self.stops_to_client,
        }
    }
}

/// A running proxy. Everything is reset when it is dropped.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    conduct: watch::Sender<Conduct>,
    /// Connections so far.
    accepted: Arc<AtomicU64>,
    runtime: Option<Runtime>,
}

impl Proxy {
    /// A proxy to `target` (`host:port`) that passes everything.
    ///
    /// # Panics
    /// Where it cannot be started.
    #[must_use]
    pub fn start(target: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("proxy")
            .enable_all()
            .build()
            .expect("a runtime can be made");
        let listener = listen(&runtime);
        let address = listener.local_addr().expect("a listener has an address");
        let conduct = watch::Sender::new(Conduct { target: target.to_owned(), ..Conduct::default() });
        let accepted = Arc::<AtomicU64>::default();
        runtime.spawn(accept(listener, conduct.subscribe(), Arc::clone(&accepted)));
        Self { address, conduct, accepted, runtime: Some(runtime) }
    }

    /// Where it listens: `127.0.0.1:PORT`.
    #[must_use]
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// Every piece arrives so much later.
    pub fn delay(&self, delay: Duration) {
        self.conduct.send_modify(|conduct| conduct.delay = delay);
    }

    /// Nothing passes in either direction, and nobody is told.
    pub fn black_hole(&self) {
        self.conduct.send_modify(|conduct| {
            conduct.stops_to_server = true;
            conduct.stops_to_client = true;
        });
    }

    /// Nothing passes in one direction.
    pub fn stop(&self, direction: Direction) {
        self.stop_before(direction, None);
    }

    /// Nothing passes in one direction of the connections that are open; later ones are left alone.
    pub fn stop_open(&self, direction: Direction) {
        self.stop_before(direction, Some(self.accepted.load(Ordering::SeqCst)));
    }

    fn stop_before(&self, direction: Direction, first: Option<u64>) {
        self.conduct.send_modify(|conduct| {
            conduct.stops_before = first;
            match direction {
                Direction::ToServer => conduct.stops_to_server = true,
                Direction::ToClient => conduct.stops_to_client = true,
            }
        });
    }

    /// Resets every connection; what was held back is lost. New ones are taken.
    pub fn cut(&self) {
        self.conduct.send_modify(|conduct| conduct.cuts += 1);
    }

    /// Everything passes again, without delay.
    pub fn heal(&self) {
        self.conduct.send_modify(|conduct| {
            *conduct = Conduct { cuts: conduct.cuts, target: conduct.target.clone(), ..Conduct::default() };
        });
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.cut();
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Bound by the caller's thread, which may belong to another runtime.
fn listen(runtime: &Runtime) -> TcpListener {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.set_nonblocking(true).expect("a listener can be asynchronous");
    let _inside = runtime.enter();
    TcpListener::from_std(listener).expect("a listener can be taken over")
}

async fn accept(listener: TcpListener, conduct: watch::Receiver<Conduct>, accepted: Arc<AtomicU64>) {
    let room = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else { return };
        let Ok((client, _)) = listener.accept().await else { continue };
        let (conduct, number) = (conduct.clone(), accepted.fetch_add(1, Ordering::SeqCst));
        connections.spawn(async move {
            carry(client, number, conduct).await;
            drop(permit);
        });
    }
}

/// One connection, from its acceptance to its end.
async fn carry(mut client: TcpStream, number: u64, mut conduct: watch::Receiver<Conduct>) {
    reset_on_close(&client);
    let Conduct { cuts: born, target, .. } = conduct.borrow_and_update().clone();
    let server = tokio::select! {
        connected = TcpStream::connect(&target) => connected,
        () = cut(conduct.clone(), born) => return,
    };
    let Ok(mut server) = server else { return };
    // a failed option costs a test some milliseconds, nothing else
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    reset_on_close(&server);
    // halves that own their stream would end it in order when they are dropped, before the reset
    let (client_reads, client_writes) = client.split();
    let (server_reads, server_writes) = server.split();
    let both = async {
        tokio::join!(
            pump(client_reads, server_writes, (Direction::ToServer, number), born, conduct.clone()),
            pump(server_reads, client_writes, (Direction::ToClient, number), born, conduct.clone()),
        )
    };
    tokio::select! {
        _ = both => {}
        () = cut(conduct.clone(), born) => {}
    }
}

/// Resolves when connections as old as this one are cut.
async fn cut(mut conduct: watch::Receiver<Conduct>, born: u64) {
    if conduct.wait_for(|conduct| conduct.cuts > born).await.is_err() {
        std::future::pending().await
    }
}

async fn pump(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    (direction, number): (Direction, u64),
    born: u64,
    mut conduct: watch::Receiver<Conduct>,
) -> std::io::Result<()> {
    let mut piece = vec![0; PIECE];
    loop {
        // one that was cut and healed in one moment stays cut: what it held back is lost
        let passes = |conduct: &Conduct| conduct.cuts <= born && !conduct.stops(direction, number);
        let closed = |_| std::io::Error::other("the proxy is gone");
        conduct.wait_for(passes).await.map_err(closed)?;
        let length = from.read(&mut piece).await?;
        let delay = conduct.borrow().delay;
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        conduct.wait_for(passes).await.map_err(closed)?;
        if length == 0 {
            return to.shutdown().await;
        }
        to.write_all(piece.get(..length).unwrap_or_default()).await?;
    }
}

/// The other side learns of the end as of a crash: by a reset.
fn reset_on_close(stream: &TcpStream) {
    // without it the end is an orderly one, which the tests that need a reset will notice
    let _ = stream.set_zero_linger();
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::thread;

    use super::*;

    /// A server that sends back whatever it gets, for one connection after another.
    fn echo() -> String {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        thread::spawn(move || {
            for stream in listener.incoming() {
                thread::spawn(move || {
                    let mut stream = stream.unwrap();
                    let mut piece = [0; 64];
                    while let Ok(length) = stream.read(&mut piece) {
                        if length == 0 || stream.write_all(&piece[..length]).is_err() {
                            return;
                        }
                    }
                });
            }
        });
        address
    }

    fn connect(proxy: &Proxy, patience: Duration) -> std::net::TcpStream {
        let stream = std::net::TcpStream::connect(proxy.address()).unwrap();
        stream.set_read_timeout(Some(patience)).unwrap();
        stream
    }

    fn says(stream: &mut std::net::TcpStream, word: &[u8]) -> std::io::Result<()> {
        let mut answer = vec![0; word.len()];
        stream.read_exact(&mut answer)?;
        assert_eq!(answer, word);
        Ok(())
    }

    #[test]
    fn what_was_stopped_arrives_after_it_is_healed() {
        let proxy = Proxy::start(&echo());
        for direction in [Direction::ToServer, Direction::ToClient] {
            let mut stream = connect(&proxy, Duration::from_millis(300));
            stream.write_all(b"one").unwrap();
            says(&mut stream, b"one").unwrap();
            proxy.stop(direction);
            stream.write_all(b"two").unwrap();
            assert!(says(&mut stream, b"two").is_err(), "{direction:?}");
            proxy.heal();
            stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            says(&mut stream, b"two").unwrap();
        }
    }

    #[test]
    fn a_cut_resets_what_is_open_and_takes_new_connections() {
        let proxy = Proxy::start(&echo());
        let mut stream = connect(&proxy, Duration::from_secs(20));
        stream.write_all(b"one").unwrap();
        says(&mut stream, b"one").unwrap();
        proxy.cut();
        let mut rest = Vec::new();
        let error = stream.read_to_end(&mut rest).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
        let mut stream = connect(&proxy, Duration::from_secs(20));
        stream.write_all(b"two").unwrap();
        says(&mut stream, b"two").unwrap();
    }

    #[test]
    fn connections_that_come_later_can_be_left_alone() {
        let proxy = Proxy::start(&echo());
        let mut first = connect(&proxy, Duration::from_millis(300));
        first.write_all(b"one").unwrap();
        says(&mut first, b"one").unwrap();
        proxy.stop_open(Direction::ToClient);
        let mut second = connect(&proxy, Duration::from_secs(20));
        second.write_all(b"two").unwrap();
        says(&mut second, b"two").unwrap();
        first.write_all(b"one").unwrap();
        assert!(says(&mut first, b"one").is_err());
    }

    #[test]
    fn a_black_hole_takes_connections_and_says_nothing() {
        let proxy = Proxy::start(&echo());
        proxy.black_hole();
        let mut stream = connect(&proxy, Duration::from_millis(300));
        stream.write_all(b"one").unwrap();
        assert!(says(&mut stream, b"one").is_err());
        proxy.heal();
        proxy.delay(Duration::from_millis(50));
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let started = std::time::Instant::now();
        says(&mut stream, b"one").unwrap();
        stream.write_all(b"two").unwrap();
        says(&mut stream, b"two").unwrap();
        assert!(started.elapsed() >= Duration::from_millis(100), "a piece is late by the delay each way");
    }
}
