//! What came of an experiment so far: a line of JSON each, the plan first, then one inversion with its scores a line.
//!
//! A line is on the disk before it counts, so an experiment that is killed loses what was under way and no more; half a line at the
//! end is cut off by the next run.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use likeness_shared::ids::RequestId;
use likeness_worker::score::Evaluation;
use serde::{Deserialize, Serialize};

use super::plan::{Plan, UnitKey};
use crate::exit::{CliError, Exit};

/// The file in the experiment's folder.
pub(super) const FILE: &str = "results.jsonl";
const FORMAT: &str = "likeness-experiment";
const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Head {
    format: String,
    version: u32,
    /// Random; the tasks of the experiment are known by it.
    id: String,
    plan: Plan,
}

/// One inversion and its pictures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Unit {
    #[serde(flatten)]
    pub(super) key: UnitKey,
    /// Mean |v| / |v0| at the end.
    pub(super) norm_ratio: f64,
    /// The training loss at the end, smoothed.
    pub(super) loss: f64,
    /// Iterations made.
    pub(super) steps: u32,
    /// Vectors learned.
    pub(super) vectors: u32,
    /// Device time of the inversion, in seconds.
    pub(super) inversion_seconds: f64,
    /// Device time of the pictures, in seconds.
    pub(super) drawing_seconds: f64,
    /// The scores.
    pub(super) evaluation: Evaluation,
}

/// The results file, open for writing by one process.
#[derive(Debug)]
pub(super) struct Results {
    path: PathBuf,
    file: File,
    id: String,
    units: BTreeMap<UnitKey, Unit>,
}

impl Results {
    /// Opens the results in `folder`, or begins them.
    pub(super) fn open(folder: &Path, plan: &Plan) -> anyhow::Result<Self> {
        let path = folder.join(FILE);
        let shown = path.display().to_string();
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path)
            .with_context(|| format!("cannot open {shown}"))?;
        if file.try_lock().is_err() {
            bail!("{shown} is in use: another `likeness experiment` runs with this --out");
        }
        let mut text = Vec::new();
        file.read_to_end(&mut text).with_context(|| format!("cannot read {shown}"))?;
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        text.truncate(whole);
        let mut lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let known = lines.next().map(|line| head(line, &shown)).transpose()?;
        let mut units = BTreeMap::new();
        for (index, line) in lines.enumerate() {
            let unit: Unit = serde_json::from_slice(line)
                .with_context(|| format!("line {} of {shown} is no result", index + 2))?;
            units.insert(unit.key, unit);
        }
        file.set_len(whole as u64).with_context(|| format!("cannot write {shown}"))?;
        file.seek(SeekFrom::End(0)).with_context(|| format!("cannot write {shown}"))?;
        let is_new = known.is_none();
        let head = known.unwrap_or_else(|| Head {
            format: FORMAT.to_owned(),
            version: VERSION,
            id: RequestId::generate().to_string(),
            plan: plan.clone(),
        });
        same(&head.plan, plan, &shown)?;
        let mut results = Self { path, file, id: head.id.clone(), units };
        if is_new {
            results.append(&head)?;
        }
        Ok(results)
    }

    /// Adds a unit and returns when it is on the disk.
    pub(super) fn add(&mut self, unit: Unit) -> anyhow::Result<()> {
        self.append(&unit)?;
        self.units.insert(unit.key, unit);
        Ok(())
    }

    /// What the experiment's tasks are known by.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// All that there are, in the order of their keys.
    pub(super) fn units(&self) -> &BTreeMap<UnitKey, Unit> {
        &self.units
    }

    fn append(&mut self, value: &impl Serialize) -> anyhow::Result<()> {
        let mut line = serde_json::to_vec(value)?;
        line.push(b'\n');
        let written = self.file.write_all(&line).and_then(|()| self.file.sync_data());
        written.with_context(|| format!("cannot write {}", self.path.display()))
    }
}

fn head(line: &[u8], shown: &str) -> anyhow::Result<Head> {
    let head: Head = serde_json::from_slice(line)
        .with_context(|| format!("{shown} does not begin as the results of an experiment do"))?;
    if (head.format.as_str(), head.version) != (FORMAT, VERSION) {
        bail!("{shown} calls itself {:?}, version {}", head.format, head.version);
    }
    Ok(head)
}

fn same(known: &Plan, given: &Plan, shown: &str) -> anyhow::Result<()> {
    let differs = known.differences(given);
    if differs.is_empty() {
        return Ok(());
    }
    let message = format!(
        "{shown} belongs to another experiment: {} differ; give the same options to go on, or another --out",
        differs.join(", ")
    );
    Err(CliError::new(Exit::Usage, message).into())
}

#[cfg(test)]
pub(super) mod tests {
    use likeness_worker::score::Identity;

    use super::super::plan::tests::plan;
    use super::*;

    pub(in super::super) fn unit(key: UnitKey, id: f64, clip: f64) -> Unit {
        let identity =
            Identity { id, face_rate: 1.0, id_where_found: Some(id), ceiling: Some(0.8), floor: Some(0.1) };
        let evaluation = Evaluation {
            held_out: Some(identity.clone()),
            identity,
            clip: Some(clip),
            aggregate: Some(likeness_worker::score::Aggregate {
                of_means: (1.0 + clip) * (1.0 + id),
                mean_of_products: (1.0 + clip) * (1.0 + id),
            }),
            diversity: Some(0.2),
            copy: Some(0.5),
            nearest_copy: Some(0.6),
            pictures: vec![],
        };
        Unit {
            key,
            norm_ratio: 1.0,
            loss: 0.1,
            steps: 400,
            vectors: 2,
            inversion_seconds: 30.0,
            drawing_seconds: 5.0,
            evaluation,
        }
    }

    #[test]
    fn a_killed_experiment_keeps_all_but_half_a_line() {
        let folder = tempfile::tempdir().unwrap();
        let plan = plan();
        let key = |seed| UnitKey { cell: 1, person: 2, seed };
        let mut results = Results::open(folder.path(), &plan).unwrap();
        results.add(unit(key(0), 0.5, 0.3)).unwrap();
        let again = Results::open(folder.path(), &plan).unwrap_err().to_string();
        assert!(again.contains("is in use"), "{again}");
        drop(results);
        let path = folder.path().join(FILE);
        let mut text = std::fs::read(&path).unwrap();
        text.extend(br#"{"cell":1,"per"#);
        std::fs::write(&path, text).unwrap();
        let mut results = Results::open(folder.path(), &plan).unwrap();
        assert_eq!(results.units().keys().copied().collect::<Vec<_>>(), [key(0)]);
        results.add(unit(key(1), 0.4, 0.3)).unwrap();
        drop(results);
        assert_eq!(Results::open(folder.path(), &plan).unwrap().units().len(), 2);
        let other = Plan { pictures: 9, ..plan };
        let refused = Results::open(folder.path(), &other).unwrap_err().to_string();
        assert!(refused.contains("the number of pictures") && refused.contains("--out"), "{refused}");
        std::fs::write(&path, "notes\n").unwrap();
        assert!(Results::open(folder.path(), &other).unwrap_err().to_string().contains("does not begin"));
    }
}
