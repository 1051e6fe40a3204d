//! Opening the file: whose it is, which format it has, and what to say when it cannot be opened.

use std::path::{Path, PathBuf};

use redb::{Database, DatabaseError, ReadableDatabase, StorageError, TableError};

use super::faults::{fault, is_full};
use super::tables::{FORMAT_KEY, META, TIME_KEY, Tables};
use crate::store::fair::FairPolicy;
use crate::store::record::StoreTime;
use crate::store::{StoreError, StoreTimes};

/// The layout of tables and keys that this version writes.
pub(super) const FORMAT: u64 = 2;
/// Of pages, in bytes.
const CACHE_BYTES: usize = 64 * 1024 * 1024;

/// How the storage under the file is made; tests put a failing one in its place.
type Opener = Box<dyn Fn(&Path) -> Result<Database, DatabaseError> + Send>;

pub(super) struct StoreFile {
    path: PathBuf,
    opener: Opener,
}

impl StoreFile {
    pub(super) fn new(path: &Path) -> Self {
        let opener = |path: &Path| Database::builder().set_cache_size(CACHE_BYTES).create(path);
        Self::with_opener(path, Box::new(opener))
    }

    pub(super) fn with_opener(path: &Path, opener: Opener) -> Self {
        Self { path: path.to_owned(), opener }
    }

    /// The database, with all its tables, in our format.
    pub(super) fn open(&self) -> Result<Database, StoreError> {
        let database = (self.opener)(&self.path).map_err(|error| self.refused(error))?;
        match self.format(&database)? {
            Some(FORMAT) => Ok(database),
            Some(found) if found < FORMAT => {
                Err(StoreError::Older { path: self.path.clone(), found, known: FORMAT })
            }
            Some(found) => Err(StoreError::Newer { path: self.path.clone(), found, known: FORMAT }),
            None => {
                self.lay_out(&database)?;
                Ok(database)
            }
        }
    }

    /// The time of the newest write.
    pub(super) fn last_time(database: &Database) -> Result<StoreTime, StoreError> {
        let transaction = database.begin_read().map_err(fault)?;
        let meta = transaction.open_table(META).map_err(fault)?;
        Ok(StoreTime(meta.get(TIME_KEY).map_err(fault)?.map_or(0, |guard| guard.value())))
    }

    /// The answer while the file cannot be used.
    pub(super) fn away(&self) -> StoreError {
        StoreError::Unavailable { reason: format!("{} is being opened again", self.path.display()) }
    }

    fn format(&self, database: &Database) -> Result<Option<u64>, StoreError> {
        let transaction = database.begin_read().map_err(fault)?;
        let meta = match transaction.open_table(META) {
            Ok(meta) => meta,
            Err(TableError::TableDoesNotExist(_)) => return Ok(None),
            Err(error) => return Err(self.unreadable(&error.to_string())),
        };
        Ok(meta.get(FORMAT_KEY).map_err(fault)?.map(|guard| guard.value()))
    }

    fn lay_out(&self, database: &Database) -> Result<(), StoreError> {
        let transaction = database.begin_write().map_err(fault)?;
        let times = StoreTimes {
            lease_ttl: std::time::Duration::ZERO,
            request_ids: std::time::Duration::ZERO,
            ended_tasks: std::time::Duration::ZERO,
        };
        let policy = FairPolicy::default();
        let mut tables = Tables::open(&transaction, times, &policy, StoreTime(0))?;
        tables.meta.insert(FORMAT_KEY, FORMAT).map_err(fault)?;
        drop(tables);
        transaction.commit().map_err(fault)
    }

    fn unreadable(&self, reason: &str) -> StoreError {
        StoreError::Open { path: self.path.clone(), reason: reason.to_owned() }
    }

    fn refused(&self, error: DatabaseError) -> StoreError {
        match error {
            DatabaseError::DatabaseAlreadyOpen => StoreError::InUse { path: self.path.clone() },
            DatabaseError::UpgradeRequired(found) => self.unreadable(&format!(
                "it was written by another version of the storage engine (file format {found})"
            )),
            DatabaseError::Storage(StorageError::Io(error)) if is_full(&error) => StoreError::DiskFull,
            other => self.unreadable(&other.to_string()),
        }
    }
}
