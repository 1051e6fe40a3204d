//! The steady load of a campaign: users who submit a task, repeat the submit until it is acknowledged, follow the task
//! to its end, and submit the next.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use likeness_shared::client::{Client, ClientError};
use likeness_shared::ids::TaskId;
use likeness_shared::proto::{SubmitTaskResponse, Task, TaskState};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::asking::{generation, inversion_of, upload_photos};

/// Users, each with one task at a time.
const USERS: u64 = 10;
/// Steps of an inversion; few different numbers, so that many must have the same result.
const STEPS: [u32; 3] = [40, 80, 120];
/// For a submit to be acknowledged, or an acknowledged task to end, whatever happens meanwhile.
const PATIENCE: Duration = Duration::from_secs(120);
/// For the users to finish what they have begun.
const FINISH: Duration = Duration::from_secs(180);

/// What was acknowledged, and what became of it.
#[derive(Debug, Default)]
pub(super) struct Book {
    /// Every acknowledged task, and the steps of those that are inversions.
    pub(super) acknowledged: HashMap<TaskId, Option<u32>>,
    /// The end of each task that has ended.
    pub(super) ended: HashMap<TaskId, Task>,
    last_success: Option<Instant>,
    succeeded: usize,
}

/// Running users.
#[derive(Debug)]
pub(super) struct Load {
    runtime: Runtime,
    users: JoinSet<()>,
    book: Arc<Mutex<Book>>,
    stop: watch::Sender<bool>,
}

impl Load {
    /// Begins to submit.
    pub(super) fn start(servers: &str, seed: u64) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime can be made");
        let (book, stop) = (Arc::<Mutex<Book>>::default(), watch::Sender::new(false));
        let mut users = JoinSet::new();
        let photos = runtime.block_on(async {
            let client = Client::connect(servers).await.unwrap_or_else(|error| panic!("{error}"));
            upload_photos(&client).await
        });
        for number in 0..USERS {
            let user = User {
                servers: servers.to_owned(),
                photos: photos.clone(),
                lots: StdRng::seed_from_u64(seed.wrapping_mul(USERS).wrapping_add(number)),
                book: Arc::clone(&book),
                stop: stop.subscribe(),
            };
            users.spawn_on(user.work(), runtime.handle());
        }
        Self { runtime, users, book, stop }
    }

    /// How long after `since` the next task succeeded; `None` where none does within the time.
    pub(super) fn await_success(&self, since: Instant, within: Duration) -> Option<Duration> {
        loop {
            if let Some(success) = lock(&self.book).last_success.filter(|success| *success > since) {
                return Some(success.duration_since(since));
            }
            if since.elapsed() > within {
                return None;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// The acknowledged tasks that have not ended.
    pub(super) fn open(&self) -> Vec<TaskId> {
        open(&lock(&self.book))
    }

    /// How long after `since` the last of these tasks had ended; those that have not within the time.
    pub(super) fn await_ends(
        &self,
        tasks: &[TaskId],
        since: Instant,
        within: Duration,
    ) -> Result<Duration, Vec<TaskId>> {
        loop {
            let left: Vec<TaskId> = {
                let book = lock(&self.book);
                tasks.iter().filter(|task| !book.ended.contains_key(task)).copied().collect()
            };
            if left.is_empty() {
                return Ok(since.elapsed());
            }
            if since.elapsed() > within {
                return Err(left);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Tasks that have succeeded.
    pub(super) fn succeeded(&self) -> usize {
        lock(&self.book).succeeded
    }

    /// Lets every user finish, and gives the book.
    ///
    /// # Panics
    /// Where a user has given up, or does not finish.
    pub(super) fn finish(mut self) -> Book {
        self.stop.send_replace(true);
        let all = self.runtime.block_on(async {
            timeout(FINISH, async {
                while let Some(user) = self.users.join_next().await {
                    user.expect("a user has given up");
                }
            })
            .await
        });
        assert!(all.is_ok(), "tasks do not end: {:?}", open(&lock(&self.book)));
        std::mem::take(&mut *lock(&self.book))
    }
}

/// The acknowledged tasks that have not ended.
fn open(book: &Book) -> Vec<TaskId> {
    book.acknowledged.keys().filter(|task| !book.ended.contains_key(task)).copied().collect()
}

fn lock(book: &Mutex<Book>) -> MutexGuard<'_, Book> {
    book.lock().unwrap_or_else(PoisonError::into_inner)
}

struct User {
    servers: String,
    photos: Vec<String>,
    lots: StdRng,
    book: Arc<Mutex<Book>>,
    stop: watch::Receiver<bool>,
}

impl User {
    async fn work(mut self) {
        let client = patiently("a connection", || Client::connect(&self.servers)).await;
        while !*self.stop.borrow() {
            let (submitted, steps) = self.submit(&client).await;
            let task = submitted.task.expect("a submitted task");
            let id: TaskId = task.id.parse().expect("a task's id");
            lock(&self.book).acknowledged.insert(id, steps);
            let ended = patiently("the end of a task", || follow(&client, id)).await;
            let mut book = lock(&self.book);
            if ended.state() == TaskState::Succeeded {
                book.last_success = Some(Instant::now());
                book.succeeded += 1;
            }
            book.ended.insert(id, ended);
        }
    }

    /// The same request until it is acknowledged.
    async fn submit(&mut self, client: &Client) -> (SubmitTaskResponse, Option<u32>) {
        if self.lots.random_bool(0.5) {
            let steps = STEPS[self.lots.random_range(0..STEPS.len())];
            let request = inversion_of(&self.photos, steps, "");
            let submitted = patiently("a submit", || client.submit_inversion(request.clone())).await;
            return (submitted, Some(steps));
        }
        let request = generation(30, &format!("picture {}", self.lots.random::<u64>()));
        let submitted = patiently("a submit", || client.submit_generation(request.clone())).await;
        (submitted, None)
    }
}

/// The terminal state of a task.
async fn follow(client: &Client, id: TaskId) -> Result<Task, ClientError> {
    let mut watch = client.watch_task(id, 0);
    let mut last = None;
    while let Some(task) = watch.next().await? {
        last = Some(task);
    }
    last.ok_or(ClientError::Incomplete("the end of the task"))
}

/// Repeats a call whose failure may pass.
async fn patiently<T, F>(what: &str, call: impl Fn() -> F) -> T
where
    F: Future<Output = Result<T, ClientError>>,
{
    let started = Instant::now();
    loop {
        match call().await {
            Ok(result) => return result,
            Err(error) => {
                assert!(error.is_transient(), "{what}: {error}");
                assert!(started.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}: {error}");
            }
        }
        sleep(Duration::from_millis(50)).await;
    }
}
