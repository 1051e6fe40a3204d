//! Whose turn it is: which side, which task leads, and who else fits into its pass.
//!
//! The two sides share the device by time: each has a clock that runs by its passes' time over its share, and the one that
//! is behind goes next. Within a side every task has such a clock too; the one that is furthest behind leads, and the
//! pass is filled with others that can share it, in the same order and then with the other side's, until it has its best size. So everybody gets on
//! at the same pace, in passes that are as full as the device likes them, and nobody waits for a cohort to form or to end.
//! Small tasks fit where large ones do not: they may get ahead by the longest pass's time, no further.
//! A side or a task that was away comes back at the others' time: it has saved nothing up and owes nothing.

use std::time::Duration;

use super::batch_sizes::{self, BatchSizes};
use super::machine::{Class, Demand, Memory, Side, Stage};

/// A task that could be in the next pass.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate {
    /// Its place among the live tasks, in the order in which they joined.
    pub(super) place: usize,
    /// What it wants.
    pub(super) demand: Demand,
    /// Its clock.
    pub(super) clock: f64,
    /// A pass that it was in failed: it goes alone, so that only the guilty one fails.
    pub(super) alone: bool,
}

/// A task in a pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Member {
    /// Its place among the live tasks.
    pub(super) place: usize,
    /// On whose time.
    pub(super) side: Side,
    /// Its rows.
    pub(super) rows: u32,
}

/// One pass.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Pass {
    pub(super) stage: Stage,
    pub(super) class: Class,
    /// The leader first.
    pub(super) members: Vec<Member>,
    /// Rows that may be on the device at once.
    pub(super) most_rows: u32,
}

impl Pass {
    pub(super) fn rows(&self) -> u32 {
        self.members.iter().map(|member| member.rows).sum()
    }

    /// What a member pays of the pass's time: rows cost the same whosesoever they are.
    pub(super) fn share(&self, rows: u32, took: Duration) -> Duration {
        took.mul_f64(f64::from(rows) / f64::from(self.rows().max(1)))
    }
}

/// The clocks of the sides and the sizes of passes.
#[derive(Debug)]
pub(super) struct Planner {
    drawing_share: f64,
    /// Seconds that a task may be ahead of the leader and still fill up its pass.
    lead: f64,
    learning: SideClock,
    drawing: SideClock,
    pub(super) sizes: BatchSizes,
}

#[derive(Debug, Default)]
struct SideClock {
    time: f64,
    /// The clock of the last leader: where a task begins that joins.
    floor: f64,
    active: bool,
}

impl Planner {
    /// `drawing_share` is what generations get of the device's time where inversions want it too, between 0 and 1.
    pub(super) fn new(drawing_share: f64, longest_pass: Duration) -> Self {
        let (learning, drawing) = (SideClock::default(), SideClock::default());
        let (lead, sizes) = (longest_pass.as_secs_f64(), BatchSizes::new(longest_pass));
        Self { drawing_share, lead, learning, drawing, sizes }
    }

    /// The clock of a task that joins, or comes back, with a clock of its own.
    pub(super) fn clock_at_joining(&self, side: Side, own: f64) -> f64 {
        self.side(side).floor.max(own)
    }

    /// The next pass; `None` where nobody wants anything. Candidates come in the order in which they joined.
    pub(super) fn plan(&mut self, candidates: &[Candidate]) -> Option<Pass> {
        let side = self.next_side(candidates)?;
        // stable: those with equal clocks stay in the order in which they joined
        let mut waiting: Vec<&Candidate> = candidates.iter().collect();
        waiting.sort_by(|a, b| a.clock.total_cmp(&b.clock));
        waiting.sort_by_key(|candidate| candidate.demand.side != side);
        let leader = **waiting.first()?;
        let Demand { stage, class, .. } = leader.demand;
        self.side_mut(side).floor = leader.clock;

        let best = self.sizes.best(stage, class);
        let mut pass = Pass { stage, class, members: Vec::new(), most_rows: self.sizes.limit(stage, class) };
        for candidate in waiting {
            let Demand { rows, side: whose, .. } = candidate.demand;
            let ahead = if whose == side { candidate.clock - leader.clock } else { 0.0 };
            let is_leader = candidate.place == leader.place;
            let shares = (candidate.demand.stage, candidate.demand.class) == (stage, class)
                && !leader.alone
                && !candidate.alone
                && ahead <= self.lead
                && pass.rows() + rows <= best;
            if is_leader || shares {
                pass.members.push(Member { place: candidate.place, side: whose, rows });
            }
        }
        Some(pass)
    }

    /// How many tasks can be live and all get on at the full pace: as many inversions as fill the best pass, and one more for
    /// somebody who wants a picture meanwhile.
    pub(super) fn room(&self, candidates: &[Candidate]) -> u32 {
        let training =
            candidates.iter().map(|candidate| candidate.demand).filter(|demand| demand.stage == Stage::Train);
        let (mut rows, mut tasks, mut class) = (0, 0, Class::default());
        for demand in training {
            (rows, tasks, class) = (rows + demand.rows, tasks + 1, demand.class);
        }
        let rows_each = if tasks == 0 { batch_sizes::FIRST } else { rows.div_ceil(tasks) };
        (self.sizes.best(Stage::Train, class) / rows_each.max(1)).max(1) + 1
    }

    /// The pass has been made, in this time.
    pub(super) fn made(&mut self, pass: &Pass, took: Duration, memory: impl FnOnce() -> Option<Memory>) {
        // where memory had it made in pieces, one piece
        let size = pass.rows().min(pass.most_rows.max(1));
        self.sizes.measured(pass.stage, pass.class, size, pass.share(size, took), memory);
        self.spent(pass, took);
    }

    /// The pass has had the device for so long, whatever came of it: each side pays for its rows.
    pub(super) fn spent(&mut self, pass: &Pass, took: Duration) {
        for member in &pass.members {
            let share = match member.side {
                Side::Drawing => self.drawing_share,
                Side::Learning => 1.0 - self.drawing_share,
            };
            self.side_mut(member.side).time += pass.share(member.rows, took).as_secs_f64() / share;
        }
    }

    /// The side that is behind; drawing where they are level, for somebody waits.
    fn next_side(&mut self, candidates: &[Candidate]) -> Option<Side> {
        for side in [Side::Drawing, Side::Learning] {
            let wants = candidates.iter().any(|candidate| candidate.demand.side == side);
            let others_time = self.side(other(side)).time;
            let clock = self.side_mut(side);
            if wants && !clock.active {
                clock.time = clock.time.max(others_time);
            }
            clock.active = wants;
        }
        match (self.drawing.active, self.learning.active) {
            (true, true) if self.drawing.time <= self.learning.time => Some(Side::Drawing),
            (true, false) => Some(Side::Drawing),
            (_, true) => Some(Side::Learning),
            (false, false) => None,
        }
    }

    fn side(&self, side: Side) -> &SideClock {
        match side {
            Side::Learning => &self.learning,
            Side::Drawing => &self.drawing,
        }
    }

    fn side_mut(&mut self, side: Side) -> &mut SideClock {
        match side {
            Side::Learning => &mut self.learning,
            Side::Drawing => &mut self.drawing,
        }
    }
}

fn other(side: Side) -> Side {
    match side {
        Side::Learning => Side::Drawing,
        Side::Drawing => Side::Learning,
    }
}

#[cfg(test)]
mod tests;
