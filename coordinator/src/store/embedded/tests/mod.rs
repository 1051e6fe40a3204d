//! The embedded store, against real files: what every store must do, files that cannot be opened, disks that fill up.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use proptest::prelude::*;
use redb::{Database, StorageBackend};

use crate::scrubber::Scrubber;
use crate::store::conformance::{
    Bench, Breakable, clock, conformance_tests, generation, random, tight_policy, times,
};
use crate::store::embedded::file::{FORMAT, StoreFile};
use crate::store::embedded::tables::{FORMAT_KEY, META};
use crate::store::embedded::*;
use crate::store::fair::FairPolicy;
use crate::store::invariants::of_snapshot;
use crate::store::scrub::{Difference, Is, Row};

/// A file, and the clock of the store in it.
pub(in crate::store) struct FileBench {
    folder: tempfile::TempDir,
    clock: Arc<AtomicU64>,
    policy: FairPolicy,
}

impl FileBench {
    pub(in crate::store) fn new() -> Self {
        Self::with_policy(FairPolicy::default())
    }

    pub(in crate::store) fn with_policy(policy: FairPolicy) -> Self {
        Self { folder: tempfile::tempdir().unwrap(), clock: clock(), policy }
    }
}

#[async_trait]
impl Bench for FileBench {
    fn clock(&self) -> &Arc<AtomicU64> {
        &self.clock
    }

    fn policy(&self) -> &FairPolicy {
        &self.policy
    }

    async fn open_breakable(&self, policy: FairPolicy) -> Arc<dyn Breakable> {
        let path = self.folder.path().join("store.redb");
        let clock = StoreClock::Manual(Arc::clone(&self.clock));
        Arc::new(EmbeddedStore::open(&path, times(), policy, clock).unwrap())
    }
}

#[async_trait]
impl Breakable for EmbeddedStore {
    async fn damage(&self, damage: &[Difference]) {
        let damage = damage.to_vec();
        let broken = self.write(move |tables| {
            damage.iter().try_for_each(|Difference { row, is }| match is {
                Is::Missing => tables.remove_row(row),
                Is::LeftOver => tables.write_row(row),
                Is::Different(wrong) => tables.write_row(wrong),
            })
        });
        broken.await.unwrap();
    }

    fn keeps_order_apart(&self) -> bool {
        false
    }
}

fn open(folder: &Path, clock: &Arc<AtomicU64>) -> EmbeddedStore {
    EmbeddedStore::open(
        &folder.join("store.redb"),
        times(),
        FairPolicy::default(),
        StoreClock::Manual(Arc::clone(clock)),
    )
    .unwrap()
}

conformance_tests!(FileBench::new());

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, max_shrink_iters: 400, ..ProptestConfig::default() })]

    #[test]
    fn invariants_hold_over_random_lives(steps in prop::collection::vec(random::step(), 1..90)) {
        random::block_on(random::live(&FileBench::with_policy(tight_policy()), steps));
    }
}

#[tokio::test]
async fn what_scrubs_find_is_counted() {
    let bench = FileBench::new();
    let store = bench.open_breakable(FairPolicy::default()).await;
    let scrubber = Scrubber::default();
    scrubber.scrub(&*store, true).await.unwrap();
    assert_eq!(scrubber.counted(), (1, 0));
    let row = Row::InFlight("acme/anna".to_owned(), 3);
    store.damage(&[Difference { row, is: Is::LeftOver }]).await;
    assert!(!scrubber.scrub(&*store, true).await.unwrap().repaired);
    assert!(scrubber.scrub(&*store, false).await.unwrap().repaired);
    scrubber.scrub(&*store, false).await.unwrap();
    assert_eq!(scrubber.counted(), (4, 2));
}

#[test]
fn a_file_in_use_is_said() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), clock());
    let path = folder.path().join("store.redb");
    let _first = open(folder.path(), &clock);
    let second =
        EmbeddedStore::open(&path, times(), FairPolicy::default(), StoreClock::Manual(clock)).unwrap_err();
    assert_eq!(second, StoreError::InUse { path });
    assert!(second.to_string().contains("in use by another coordinator"), "{second}");
}

#[test]
fn another_format_is_refused_and_left_alone() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), clock());
    let path = folder.path().join("store.redb");
    drop(open(folder.path(), &clock));
    let newer = StoreError::Newer { path: path.clone(), found: FORMAT + 1, known: FORMAT };
    let older = StoreError::Older { path: path.clone(), found: FORMAT - 1, known: FORMAT };
    for (format, refusal) in [(FORMAT + 1, newer), (FORMAT - 1, older)] {
        {
            let database = Database::open(&path).unwrap();
            let transaction = database.begin_write().unwrap();
            transaction.open_table(META).unwrap().insert(FORMAT_KEY, format).unwrap();
            transaction.commit().unwrap();
        }
        let clock = StoreClock::Manual(Arc::clone(&clock));
        assert_eq!(EmbeddedStore::open(&path, times(), FairPolicy::default(), clock).unwrap_err(), refusal);
    }
}

#[test]
fn a_file_of_something_else_is_refused() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), clock());
    let path = folder.path().join("store.redb");
    std::fs::write(&path, b"not a database, but long enough to be looked at twice".repeat(200)).unwrap();
    let error =
        EmbeddedStore::open(&path, times(), FairPolicy::default(), StoreClock::Manual(clock)).unwrap_err();
    assert!(matches!(error, StoreError::Open { .. }), "{error:?}");
}

/// A file on a disk that can be full.
#[derive(Debug)]
struct FullDisk {
    file: File,
    full: Arc<AtomicBool>,
}

impl FullDisk {
    fn check(&self) -> std::io::Result<()> {
        let full = self.full.load(Ordering::SeqCst);
        if full { Err(std::io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }
}

impl StorageBackend for FullDisk {
    fn len(&self) -> std::io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> std::io::Result<()> {
        self.file.read_exact_at(out, offset)
    }

    fn set_len(&self, len: u64) -> std::io::Result<()> {
        self.check()?;
        self.file.set_len(len)
    }

    fn sync_data(&self) -> std::io::Result<()> {
        self.check()?;
        self.file.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> std::io::Result<()> {
        self.check()?;
        self.file.write_all_at(data, offset)
    }
}

#[tokio::test]
async fn a_full_disk_is_said_leaves_nothing_half_written_and_heals() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), clock());
    let full = Arc::new(AtomicBool::new(false));
    let its_full = Arc::clone(&full);
    let opener = move |path: &Path| {
        let file = File::options().read(true).write(true).create(true).truncate(false).open(path).unwrap();
        Database::builder().create_with_backend(FullDisk { file, full: Arc::clone(&its_full) })
    };
    let file = StoreFile::with_opener(&folder.path().join("store.redb"), Box::new(opener));
    let store =
        EmbeddedStore::open_file(file, times(), FairPolicy::default(), StoreClock::Manual(clock)).unwrap();
    let kept = store.submit(generation("anna", "r1")).await.unwrap().task.id;
    full.store(true, Ordering::SeqCst);
    let refused = store.submit(generation("anna", "r2")).await.unwrap_err();
    assert_eq!(refused, StoreError::DiskFull);
    assert!(store.submit(generation("anna", "r3")).await.is_err(), "and again");
    full.store(false, Ordering::SeqCst);
    // the file is opened anew after a short pause
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    let healed = loop {
        match store.submit(generation("anna", "r2")).await {
            Ok(submitted) => break submitted,
            Err(error) if std::time::Instant::now() > deadline => panic!("did not heal: {error}"),
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    };
    assert!(!healed.repeated, "what was refused was not stored");
    let snapshot = store.snapshot().await.unwrap();
    assert_eq!(of_snapshot(&snapshot), Vec::<String>::new());
    assert!(snapshot.tasks.contains_key(&kept) && snapshot.tasks.len() == 2);
}
