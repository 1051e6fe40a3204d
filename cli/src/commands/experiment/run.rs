//! An experiment from its first unit to its last: some under way at the fleet, each scored here when its pictures are in.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use likeness_diffusion::picture::RgbPicture;
use likeness_shared::client::Client;
use tokio::task::JoinSet;

use super::at_fleet::{Fetched, Fleet};
use super::looking::Looked;
use super::plan::{Plan, UnitKey};
use super::results::{Results, Unit};
use super::{keepsakes, report};
use crate::exit::{CliError, Exit, exit_of};
use crate::output::Voice;
use crate::progress::{Meter, Standing};

/// Between two attempts at a fleet that is away.
const COME_BACK_IN: Duration = Duration::from_secs(5);
/// Units that fail before the first one succeeds end the experiment: nothing of it works.
const HOPELESS: usize = 3;
/// The report is written anew so often.
const REPORT_EVERY: Duration = Duration::from_secs(60);

/// An experiment under way.
pub(super) struct Run<'a> {
    pub(super) out: &'a Path,
    pub(super) plan: Arc<Plan>,
    pub(super) looked: Looked,
    pub(super) results: Results,
    pub(super) voice: Voice,
}

/// How far it is.
struct Progress {
    meter: Meter,
    began: Instant,
    before: usize,
    total: usize,
    reported: Instant,
}

impl Run<'_> {
    /// Makes what is missing; what failed comes back.
    pub(super) async fn all(
        &mut self,
        fleet: &Fleet,
        client: &Client,
        at_once: usize,
    ) -> anyhow::Result<Vec<(UnitKey, String)>> {
        let units = self.plan.units();
        let total = units.len();
        let mut left: VecDeque<UnitKey> =
            units.into_iter().filter(|unit| !self.results.units().contains_key(unit)).collect();
        let before = total - left.len();
        if before > 0 {
            self.voice.say(format_args!("{before} of {total} inversions have been made before"));
        }
        let meter = Meter::new(self.voice, "inversions");
        let mut progress = Progress { meter, began: Instant::now(), before, total, reported: Instant::now() };
        let mut under_way: JoinSet<(UnitKey, anyhow::Result<Fetched>)> = JoinSet::new();
        let mut failed = Vec::new();
        let mut is_away = false;
        progress.show(before);
        loop {
            while under_way.len() < at_once
                && let Some(key) = left.pop_front()
            {
                let fleet = fleet.clone();
                under_way.spawn(async move { (key, fleet.run(key).await) });
            }
            let Some(ended) = under_way.join_next().await else { break };
            let (key, fetched) = ended.context("a unit came to no end")?;
            match fetched {
                Ok(fetched) => {
                    is_away = false;
                    let person = fetched.inversion.person_id.clone();
                    tokio::task::block_in_place(|| self.score(key, fetched))?;
                    fleet.forget(&person).await;
                }
                Err(error) if exit_of(&error) == Exit::Unreachable => {
                    if !std::mem::replace(&mut is_away, true) {
                        let address = client.address();
                        self.voice
                            .warn(format_args!("{address} is away ({error:#}); waiting until it is back"));
                    }
                    left.push_back(key);
                    tokio::time::sleep(COME_BACK_IN).await;
                }
                Err(error) if exit_of(&error) == Exit::TaskFailed => {
                    self.voice.warn(format_args!("{} failed: {error:#}", self.described(key)));
                    failed.push((key, format!("{error:#}")));
                    if failed.len() >= HOPELESS && self.results.units().is_empty() {
                        return Err(error.context("nothing has succeeded"));
                    }
                }
                Err(error) => return Err(error.context(self.described(key))),
            }
            progress.show(self.results.units().len());
            if progress.reported.elapsed() >= REPORT_EVERY {
                tokio::task::block_in_place(|| report::write(self.out, &self.plan, self.results.units()))?;
                progress.reported = Instant::now();
            }
        }
        progress.meter.finish(format_args!("{} of {total} made", self.results.units().len()));
        Ok(failed)
    }

    fn score(&mut self, key: UnitKey, fetched: Fetched) -> anyhow::Result<()> {
        let mut pictures = Vec::new();
        for (prompt, file) in &fetched.pictures {
            let (picture, _) = RgbPicture::from_png(file)
                .with_context(|| format!("a picture of {} cannot be read", self.described(key)))?;
            pictures.push((*prompt, picture));
        }
        let evaluation = self.looked.evaluate(key.person, &pictures)?;
        keepsakes::keep_pictures(self.out, key, &pictures)?;
        let Fetched { inversion, inversion_seconds, drawing_seconds, .. } = fetched;
        self.results.add(Unit {
            key,
            norm_ratio: inversion.norm_ratio,
            loss: inversion.final_loss,
            steps: inversion.steps,
            vectors: inversion.vectors,
            inversion_seconds,
            drawing_seconds,
            evaluation,
        })
    }

    fn described(&self, key: UnitKey) -> String {
        let cell = self.plan.cells.get(key.cell).map(ToString::to_string).unwrap_or_default();
        let person = self.plan.people.get(key.person).map(|person| person.name.as_str()).unwrap_or_default();
        format!("{person}, {cell}, seed {}", key.seed)
    }
}

impl Progress {
    fn show(&mut self, done: usize) {
        let since = done.saturating_sub(self.before);
        let remark = if since == 0 {
            String::new()
        } else {
            let each = self.began.elapsed().as_secs_f64() / since as f64;
            let left = (each * self.total.saturating_sub(done) as f64).min(1e9).ceil() as u64;
            format!("{} left", humantime::format_duration(Duration::from_secs(left)))
        };
        let (step, total) = (done as u64, self.total as u64);
        self.meter.show(Standing { phase: "learn and draw".into(), step, total, rate: 0.0, remark });
    }
}

/// What to say of failures at the end.
pub(super) fn complaint(failed: &[(UnitKey, String)], total: usize) -> Option<anyhow::Error> {
    let (_, first) = failed.first()?;
    let message = format!(
        "{} of {total} inversions failed, the first because: {first}; the same command tries them again",
        failed.len()
    );
    Some(CliError::new(Exit::TaskFailed, message).into())
}
