//! A model hub in this process: the few routes that a client uses, and faults on demand.
//!
//! Small files come from the hub itself, weights by a redirect to a second server, as on the real one.

#![allow(dead_code, reason = "every test that includes this file uses a part of it")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use sha1_smol::Sha1;
use sha2::{Digest, Sha256};

/// The repository's only commit.
pub(crate) const COMMIT: &str = "5ede9e4bf3e3fd1cb0ef2f7a3fff13ee514fdf06";

/// What goes wrong.
#[derive(Clone, Debug, Default)]
pub(crate) struct Faults {
    /// Every answer of the hub has this status.
    pub(crate) status: Option<u16>,
    /// The hub answers only those who send this token.
    pub(crate) token: Option<String>,
    /// The connection ends after so many bytes of a weight file, so many times.
    pub(crate) cut: Option<(usize, u32)>,
    /// A byte of every weight file is another.
    pub(crate) corrupt: bool,
    /// A weight file ends after this many bytes without ending: nothing more comes.
    pub(crate) stall: Option<usize>,
    /// Ranges are not understood.
    pub(crate) whole_files: bool,
}

/// A request that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    /// Whether only the head of the answer is wanted.
    pub(crate) is_question: bool,
    /// Whether it came to the server of the weights.
    pub(crate) is_for_weights: bool,
    /// The path asked for.
    pub(crate) path: String,
    /// The range asked for.
    pub(crate) range: Option<String>,
    /// What was sent as a credential.
    pub(crate) authorization: Option<String>,
}

#[derive(Default)]
struct State {
    files: BTreeMap<String, Vec<u8>>,
    faults: Mutex<Faults>,
    requests: Mutex<Vec<Request>>,
    closed: AtomicBool,
}

/// A running hub with one repository, `acme/tiny`.
pub(crate) struct HubServer {
    state: Arc<State>,
    hub: SocketAddr,
    weights: SocketAddr,
    threads: Vec<JoinHandle<()>>,
}

impl HubServer {
    /// Serves these files, by name.
    pub(crate) fn start(files: BTreeMap<String, Vec<u8>>) -> Self {
        let state = Arc::new(State { files, ..State::default() });
        let listen = || TcpListener::bind("127.0.0.1:0").expect("a port");
        let (hub, weights) = (listen(), listen());
        let (hub_address, weights_address) = (hub.local_addr().unwrap(), weights.local_addr().unwrap());
        let serve = |listener: TcpListener, is_for_weights| {
            let state = Arc::clone(&state);
            thread::spawn(move || {
                for stream in listener.incoming().map_while(Result::ok) {
                    if state.closed.load(Ordering::SeqCst) {
                        return;
                    }
                    let state = Arc::clone(&state);
                    // A client that has gone is no matter of the server's.
                    thread::spawn(move || answer(&state, stream, is_for_weights, weights_address).ok());
                }
            })
        };
        let threads = vec![serve(hub, false), serve(weights, true)];
        Self { state, hub: hub_address, weights: weights_address, threads }
    }

    /// The address of the hub.
    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.hub)
    }

    /// Changes what goes wrong.
    pub(crate) fn set(&self, faults: Faults) {
        *self.state.faults.lock().unwrap_or_else(PoisonError::into_inner) = faults;
    }

    /// Everything that was asked so far; what was told before is forgotten.
    pub(crate) fn take_requests(&self) -> Vec<Request> {
        std::mem::take(&mut *self.state.requests.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The ranges in which weights were fetched so far.
    pub(crate) fn take_downloads(&self) -> Vec<Option<String>> {
        let is_download =
            |request: &Request| request.is_for_weights && request.range.as_deref() != Some("bytes=0-0");
        self.take_requests().into_iter().filter(is_download).map(|request| request.range).collect()
    }
}

impl Drop for HubServer {
    fn drop(&mut self) {
        self.state.closed.store(true, Ordering::SeqCst);
        for address in [self.hub, self.weights] {
            let _ = TcpStream::connect(address);
        }
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// The hub's name for bytes of a large file.
pub(crate) fn sha256_of(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The hub's name for bytes of a small file: git's.
pub(crate) fn git_of(bytes: &[u8]) -> String {
    let mut sha1 = Sha1::new();
    sha1.update(format!("blob {}\0", bytes.len()).as_bytes());
    sha1.update(bytes);
    sha1.digest().to_string()
}

/// The hub's name for a file.
pub(crate) fn etag_of(name: &str, bytes: &[u8]) -> String {
    if name.ends_with(".safetensors") { sha256_of(bytes) } else { git_of(bytes) }
}

fn answer(
    state: &State,
    mut stream: TcpStream,
    is_for_weights: bool,
    weights: SocketAddr,
) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let first = lines.next().transpose()?.unwrap_or_default();
    let is_question = first.starts_with("HEAD ");
    let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
    let (mut range, mut authorization) = (None, None);
    for line in lines {
        let line = line?;
        match line.split_once(": ") {
            Some((name, value)) if name.eq_ignore_ascii_case("range") => range = Some(value.to_owned()),
            Some((name, value)) if name.eq_ignore_ascii_case("authorization") => {
                authorization = Some(value.to_owned());
            }
            Some(_) => {}
            None => break,
        }
    }
    let request = Request { is_question, is_for_weights, path, range, authorization };
    let faults = state.faults.lock().unwrap_or_else(PoisonError::into_inner).clone();
    state.requests.lock().unwrap_or_else(PoisonError::into_inner).push(request.clone());
    if is_for_weights {
        send_weights(state, &mut stream, &request, &faults)
    } else {
        send_file(state, &mut stream, &request, &faults, weights)
    }
}

fn send_file(
    state: &State,
    stream: &mut TcpStream,
    request: &Request,
    faults: &Faults,
    weights: SocketAddr,
) -> std::io::Result<()> {
    // A repository that has another name by now, and one that says so of another server.
    for (old, place) in [("/acme/old/", String::new()), ("/acme/elsewhere/", format!("http://{weights}"))] {
        if let Some(rest) = request.path.strip_prefix(old) {
            let head = format!("Location: {place}/acme/tiny/{rest}\r\nETag: \"of-the-redirect\"\r\n");
            return send(stream, 307, &head, &[], usize::MAX);
        }
    }
    let file = ["main", "v1", COMMIT].iter().find_map(|revision| {
        request.path.strip_prefix("/acme/tiny/resolve/")?.strip_prefix(revision)?.strip_prefix('/')
    });
    let found = file.and_then(|file| Some((file, state.files.get(file)?)));
    let allowed = faults
        .token
        .as_ref()
        .is_none_or(|token| request.authorization.as_deref() == Some(&format!("Bearer {token}")));
    match (faults.status, found) {
        (Some(status), _) => send(stream, status, "", &[], usize::MAX),
        _ if !allowed => send(stream, 401, "", &[], usize::MAX),
        (None, None) => send(stream, 404, &format!("X-Repo-Commit: {COMMIT}\r\n"), &[], usize::MAX),
        (None, Some((file, bytes))) if file.ends_with(".safetensors") => {
            let (digest, size) = (sha256_of(bytes), bytes.len());
            let head = format!(
                "Location: http://{weights}/{digest}?signature=secret\r\nX-Repo-Commit: {COMMIT}\r\n\
                 X-Linked-Etag: \"{digest}\"\r\nX-Linked-Size: {size}\r\nETag: \"of-the-redirect\"\r\n"
            );
            send(stream, 302, &head, &[], usize::MAX)
        }
        (None, Some((_, bytes))) => {
            let head = format!("X-Repo-Commit: {COMMIT}\r\nETag: \"{}\"\r\n", git_of(bytes));
            let limit = if request.is_question { 0 } else { usize::MAX };
            send_range(stream, request, &head, bytes, limit)
        }
    }
}

fn send_weights(
    state: &State,
    stream: &mut TcpStream,
    request: &Request,
    faults: &Faults,
) -> std::io::Result<()> {
    let digest = request.path.trim_start_matches('/').split('?').next().unwrap_or_default();
    let found = state.files.values().find(|bytes| sha256_of(bytes) == digest).cloned();
    let Some(mut bytes) = found else { return send(stream, 404, "", &[], usize::MAX) };
    if faults.corrupt
        && let Some(byte) = bytes.last_mut()
    {
        *byte ^= 1;
    }
    let mut limit = usize::MAX;
    {
        let mut faults = state.faults.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((after, times)) = &mut faults.cut
            && *times > 0
        {
            *times -= 1;
            limit = *after;
        }
    }
    if let Some(after) = faults.stall {
        send(stream, 200, "", &bytes, after)?;
        while !state.closed.load(Ordering::SeqCst) {
            thread::sleep(Duration::from_millis(20));
        }
        return Ok(());
    }
    if faults.whole_files {
        return send(stream, 200, "", &bytes, limit);
    }
    send_range(stream, request, "", &bytes, limit)
}

/// Sends the part that was asked for.
fn send_range(
    stream: &mut TcpStream,
    request: &Request,
    head: &str,
    bytes: &[u8],
    limit: usize,
) -> std::io::Result<()> {
    let Some(range) = request.range.as_deref().and_then(|range| range.strip_prefix("bytes=")) else {
        return send(stream, 200, head, bytes, limit);
    };
    let (first, last) = range.split_once('-').unwrap_or((range, ""));
    let first: usize = first.parse().unwrap_or_default();
    let last = last.parse().unwrap_or(bytes.len() - 1).min(bytes.len() - 1);
    let Some(part) = bytes.get(first..=last) else { return send(stream, 416, head, &[], limit) };
    let head = format!("{head}Content-Range: bytes {first}-{last}/{}\r\n", bytes.len());
    send(stream, 206, &head, part, limit)
}

/// Sends a head that announces all of `body`, and at most `limit` bytes of it.
fn send(stream: &mut TcpStream, status: u16, head: &str, body: &[u8], limit: usize) -> std::io::Result<()> {
    let length = body.len();
    write!(stream, "HTTP/1.1 {status} X\r\nContent-Length: {length}\r\nConnection: close\r\n{head}\r\n")?;
    stream.write_all(&body[..limit.min(length)])?;
    stream.flush()
}
