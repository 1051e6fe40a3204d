//! The portraits of a build so far: a line of JSON each, the recipe first, then one name a line.
//!
//! A line is on the disk before the next name is asked for, so a build that is killed loses the names under way and no more; half a
//! line at the end is cut off by the next build. Portraits stay when the bank is written: with other [`Rules`](super::Rules), with
//! more names or with reference photos it can be judged again, and nothing is drawn twice.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::error::BankError;
use super::portraits::NamePortraits;
use super::recipe::Recipe;

const FORMAT: &str = "likeness-name-portraits";
const VERSION: u32 = 1;
/// How a log begins.
const OPENING: &[u8] = br#"{"format":"likeness-name-portraits""#;

#[derive(Serialize, Deserialize)]
struct Head {
    format: String,
    version: u32,
    recipe: Recipe,
}

/// A log that is open for writing.
#[derive(Debug)]
pub struct PortraitLog {
    path: PathBuf,
    file: File,
    recipe: Option<Recipe>,
}

/// What a log held when it was opened.
#[derive(Debug, Default)]
pub struct Written {
    /// The names that have been drawn, in their order.
    pub portraits: Vec<NamePortraits>,
}

impl PortraitLog {
    /// Opens the log at `path`, or begins it. Where the model of `wanted` is not known yet (an empty digest), the log's stands.
    ///
    /// # Errors
    /// [`BankError::OtherRecipe`] where the portraits so far were made otherwise; [`BankError::NotALog`] for any other file.
    pub fn open(path: &Path, wanted: &Recipe) -> Result<(Self, Written), BankError> {
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(path)
            .map_err(|source| io_error("open", path, source))?;
        file.try_lock().map_err(|error| io_error("have for this build alone", path, error.into()))?;
        let mut text = Vec::new();
        file.read_to_end(&mut text).map_err(|source| io_error("read", path, source))?;
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        if whole == 0 && !text.is_empty() && !text.starts_with(OPENING) {
            return Err(not_a_log(path, "it begins otherwise".to_owned()));
        }
        text.truncate(whole);
        let mut lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let recipe = lines.next().map(|line| head(path, line, wanted)).transpose()?;
        let mut portraits = Vec::new();
        for (index, line) in lines.enumerate() {
            let wrong = |error| not_a_log(path, format!("line {}: {error}", index + 2));
            portraits.push(serde_json::from_slice(line).map_err(wrong)?);
        }
        // Half a line goes.
        file.set_len(whole as u64).map_err(|source| io_error("write", path, source))?;
        file.seek(SeekFrom::End(0)).map_err(|source| io_error("write", path, source))?;
        Ok((Self { path: path.to_owned(), file, recipe }, Written { portraits }))
    }

    /// Adds a name, drawn by `recipe`, and returns when it is on the disk.
    ///
    /// # Errors
    /// [`BankError::OtherRecipe`] where it was drawn by another model than those before; [`BankError::Io`].
    pub fn append(&mut self, recipe: &Recipe, portraits: &NamePortraits) -> Result<(), BankError> {
        let mut lines = Vec::new();
        match &self.recipe {
            Some(known) => same(&self.path, known, recipe)?,
            None => {
                let head = Head { format: FORMAT.to_owned(), version: VERSION, recipe: recipe.clone() };
                lines.extend(line(&self.path, &head)?);
            }
        }
        lines.extend(line(&self.path, portraits)?);
        let written = self.file.write_all(&lines).and_then(|()| self.file.sync_data());
        written.map_err(|source| io_error("write", &self.path, source))?;
        self.recipe.get_or_insert_with(|| recipe.clone());
        Ok(())
    }

    /// How its portraits were made; `None` before the first.
    pub fn recipe(&self) -> Option<&Recipe> {
        self.recipe.as_ref()
    }
}

fn head(path: &Path, line: &[u8], wanted: &Recipe) -> Result<Recipe, BankError> {
    let head: Head = serde_json::from_slice(line).map_err(|error| not_a_log(path, error.to_string()))?;
    if (head.format.as_str(), head.version) != (FORMAT, VERSION) {
        let reason = format!("it calls itself {:?}, version {}", head.format, head.version);
        return Err(not_a_log(path, reason));
    }
    same(path, &head.recipe, wanted)?;
    Ok(head.recipe)
}

fn same(path: &Path, known: &Recipe, given: &Recipe) -> Result<(), BankError> {
    let differs = known.differences(given);
    if differs.is_empty() {
        return Ok(());
    }
    Err(BankError::OtherRecipe { path: path.to_owned(), differs: differs.join(", ") })
}

fn line(path: &Path, value: &impl Serialize) -> Result<Vec<u8>, BankError> {
    let mut line = serde_json::to_vec(value).map_err(|error| io_error("write", path, error.into()))?;
    line.push(b'\n');
    Ok(line)
}

fn io_error(what: &'static str, path: &Path, source: std::io::Error) -> BankError {
    BankError::Io { what, path: path.to_owned(), source }
}

fn not_a_log(path: &Path, reason: String) -> BankError {
    BankError::NotALog { path: path.to_owned(), reason }
}

#[cfg(test)]
mod tests {
    use super::super::portraits::tests::portraits;
    use super::super::recipe::tests::recipe;
    use super::*;

    fn names(written: &Written) -> Vec<&str> {
        written.portraits.iter().map(|name| name.name.as_str()).collect()
    }

    #[test]
    fn a_build_goes_on_where_it_ended() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bank.portraits");
        let (mut log, written) = PortraitLog::open(&path, &recipe()).unwrap();
        assert!(written.portraits.is_empty() && log.recipe().is_none());
        let ann = portraits("ann", &[Some(1.0), None]);
        log.append(&recipe(), &ann).unwrap();
        log.append(&recipe(), &portraits("bob", &[None, None])).unwrap();
        drop(log);
        // Killed in the middle of a line.
        let mut torn = OpenOptions::new().append(true).open(&path).unwrap();
        torn.write_all(b"{\"name\":\"cla").unwrap();
        let unknown = Recipe { model_digest: String::new(), ..recipe() };
        let (mut log, written) = PortraitLog::open(&path, &unknown).unwrap();
        assert_eq!((names(&written), &written.portraits[0]), (vec!["ann", "bob"], &ann));
        assert_eq!(log.recipe(), Some(&recipe()));
        log.append(&recipe(), &portraits("clara", &[None])).unwrap();
        drop(log);
        let (_log, written) = PortraitLog::open(&path, &recipe()).unwrap();
        assert_eq!(names(&written), ["ann", "bob", "clara"]);
    }

    #[test]
    fn portraits_made_otherwise_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bank.portraits");
        let (mut log, _) = PortraitLog::open(&path, &recipe()).unwrap();
        log.append(&recipe(), &portraits("ann", &[None])).unwrap();
        let other_model = Recipe { model_digest: "m2".into(), ..recipe() };
        let said = log.append(&other_model, &portraits("bob", &[None])).unwrap_err().to_string();
        assert!(said.contains("digest was m1 and is m2"), "{said}");
        drop(log);
        let other = Recipe { portraits: 8, seed: 3, ..recipe() };
        let said = PortraitLog::open(&path, &other).unwrap_err().to_string();
        assert!(said.contains("portraits was 4 and is 8, the seed was 0 and is 3"), "{said}");
        assert!(said.contains("delete that file"), "{said}");
        let (_log, written) = PortraitLog::open(&path, &recipe()).unwrap();
        assert_eq!(names(&written), ["ann"], "and nothing of it is lost");
    }

    #[test]
    fn another_file_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("letter.txt");
        for text in ["Dear Sir or Madam,\n", "{\"format\":\"x\"}\n", "no line"] {
            std::fs::write(&path, text).unwrap();
            let said = PortraitLog::open(&path, &recipe()).unwrap_err().to_string();
            assert!(said.contains("letter.txt is not the portraits of a bank"), "{said}");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        }
    }

    #[test]
    fn two_builds_do_not_write_one_log() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bank.portraits");
        let (_log, _) = PortraitLog::open(&path, &recipe()).unwrap();
        let said = PortraitLog::open(&path, &recipe()).unwrap_err().to_string();
        assert!(said.contains("for this build alone"), "{said}");
    }
}
