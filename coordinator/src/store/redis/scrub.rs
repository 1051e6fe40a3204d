//! Finds what differs from the records while the fleet works, and repairs it; what only looks different because it was
//! read at different moments is neither reported nor touched.
//!
//! A row that follows from one record is looked at once more, together with the version of that record, by a script that
//! sees both at one moment. The shares follow from many records, so they are compared only where nothing has changed
//! them while they were read: every commit that does is counted. A repair is committed like any other change, against
//! all that it rests on, and against other repairs.

use std::collections::HashMap;
use std::time::Duration;

use super::RedisStore;
use super::changes::{Changes, Guard};
use super::link::Exchange;
use super::load::{read, single};
use super::scrub_rows::{Claim, SHARES};
use super::snapshot::View;
use super::step::Known;
use super::transactions::Terms;
use crate::store::StoreError;
use crate::store::record::StoreTime;
use crate::store::scrub::{Scrubbed, Shares, differences};
use crate::store::workspace::Workspace;

/// Looks at the whole store for a moment in which nothing changes the shares.
const LOOKS: u32 = 4;
/// Between those looks, at most; doubled for each further one.
const PAUSE: Duration = Duration::from_millis(50);
/// Looks with a repair after each.
const REPAIRS: u32 = 4;
/// Attempts at committing one piece, each without what has changed meanwhile.
const ATTEMPTS: u32 = 8;
/// Rows set right in one commit.
const ROWS_A_PIECE: usize = 500;
/// Rows looked at once more in one exchange.
const ROWS_A_MOMENT: usize = 100;
/// How often something was repaired, in the hash of the fleet.
const REPAIRED: &str = "repaired";

/// What has been counted of the store, as it is written; empty = never.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Counted {
    shares: Vec<u8>,
    pub(super) repaired: Vec<u8>,
}

/// What one look found.
struct Found {
    scrubbed: Scrubbed,
    claims: Vec<Claim>,
    repaired: Vec<u8>,
}

impl RedisStore {
    pub(super) async fn scrub_indexes(&self, dry_run: bool) -> Result<Scrubbed, StoreError> {
        let Found { scrubbed: first, mut claims, mut repaired } = self.look_for_differences().await?;
        if dry_run || first.found == 0 {
            return Ok(first);
        }
        for _ in 0..REPAIRS {
            if self.set_right(claims, repaired).await? {
                return Ok(Scrubbed { repaired: true, ..first });
            }
            let next = self.look_for_differences().await?;
            if next.scrubbed.found == 0 && next.scrubbed.shares_compared == first.shares_compared {
                return Ok(Scrubbed { repaired: true, ..first });
            }
            (claims, repaired) = (next.claims, next.repaired);
        }
        Ok(first)
    }

    async fn look_for_differences(&self) -> Result<Found, StoreError> {
        let mut pause = PAUSE;
        for _ in 1..LOOKS {
            let (view, before, after) = self.viewed().await?;
            if before == after {
                return self.compared(&view, &before, true).await;
            }
            tokio::time::sleep(pause.mul_f64(rand::random::<f64>())).await;
            pause *= 2;
        }
        let (view, before, after) = self.viewed().await?;
        self.compared(&view, &before, before == after).await
    }

    /// The whole store, with what was counted before and after it was read.
    async fn viewed(&self) -> Result<(View, Counted, Counted), StoreError> {
        let before = self.counted().await?;
        let view = self.view().await?;
        Ok((view, before, self.counted().await?))
    }

    pub(super) async fn counted(&self) -> Result<Counted, StoreError> {
        let mut pipeline = redis::pipe();
        pipeline.cmd("HMGET").arg(self.keys.meta()).arg(SHARES).arg(REPAIRED);
        let counted: (Option<Vec<u8>>, Option<Vec<u8>>) =
            single(self.link.ask(Exchange::Commands(&pipeline)).await?)?;
        Ok(Counted { shares: counted.0.unwrap_or_default(), repaired: counted.1.unwrap_or_default() })
    }

    async fn compared(&self, view: &View, counted: &Counted, shares: bool) -> Result<Found, StoreError> {
        let now = self.step(Terms::default(), |step| Ok(step.now())).await?;
        let compared = if shares { Shares::Compared { policy: &self.policy, now } } else { Shares::Taken };
        let suspected = differences(&view.snapshot, &compared);
        let (mut found, mut claims) = (Vec::new(), Vec::new());
        for some in suspected.chunks(ROWS_A_MOMENT) {
            let changed = shares.then_some(counted.shares.as_slice());
            let some_claims: Result<Vec<Claim>, StoreError> =
                some.iter().map(|difference| Claim::of(&self.keys, view, changed, difference)).collect();
            let some_claims = some_claims?;
            let holds = self.hold(&some_claims).await?;
            for ((difference, claim), holds) in some.iter().zip(some_claims).zip(holds) {
                // nothing changed the shares while they were read: that stands, whatever has changed them since
                if holds || (shares && difference.row.is_of_shares()) {
                    found.push(difference.clone());
                    claims.push(claim);
                }
            }
        }
        let scrubbed = Scrubbed::of(&found, view.snapshot.tasks.len(), shares);
        Ok(Found { scrubbed, claims, repaired: counted.repaired.clone() })
    }

    /// Which of the claims are true at this moment.
    async fn hold(&self, claims: &[Claim]) -> Result<Vec<bool>, StoreError> {
        let mut call = self.moment.prepare_invoke();
        let mut numbers: HashMap<&str, usize> = HashMap::new();
        let conditions: Vec<_> = claims.iter().map(Claim::conditions).collect();
        for of_claim in &conditions {
            call.arg(of_claim.len());
            for condition in of_claim {
                let next = numbers.len() + 1;
                let number = *numbers.entry(condition.key).or_insert_with(|| {
                    call.key(condition.key);
                    next
                });
                call.arg(condition.command).arg(number).arg(condition.member);
                call.arg(condition.value).arg(u8::from(condition.is));
            }
        }
        let answers: Vec<u8> = read(self.link.ask(Exchange::Script(&call)).await?)?;
        Ok(answers.into_iter().map(|answer| answer == 1).collect())
    }

    /// Sets rows right, a bounded number in one commit. False where something has changed meanwhile that they rest on.
    async fn set_right(&self, claims: Vec<Claim>, mut repaired: Vec<u8>) -> Result<bool, StoreError> {
        let mut all = true;
        let mut left = claims;
        while !left.is_empty() {
            let rest = left.split_off(left.len().min(ROWS_A_PIECE));
            let piece = std::mem::replace(&mut left, rest);
            all &= self.set_piece_right(piece, &mut repaired).await?;
        }
        Ok(all)
    }

    async fn set_piece_right(
        &self,
        mut piece: Vec<Claim>,
        repaired: &mut Vec<u8>,
    ) -> Result<bool, StoreError> {
        let mut all = true;
        for _ in 0..ATTEMPTS {
            let before = piece.len();
            piece = self.still_true(piece).await?;
            all &= piece.len() == before;
            if piece.is_empty() {
                return Ok(all);
            }
            if self.commit_repair(&piece, repaired).await? {
                return Ok(all);
            }
        }
        Ok(false)
    }

    async fn still_true(&self, claims: Vec<Claim>) -> Result<Vec<Claim>, StoreError> {
        let mut holds = Vec::with_capacity(claims.len());
        for some in claims.chunks(ROWS_A_MOMENT) {
            holds.extend(self.hold(some).await?);
        }
        Ok(claims.into_iter().zip(holds).filter_map(|(claim, holds)| holds.then_some(claim)).collect())
    }

    async fn commit_repair(&self, piece: &[Claim], repaired: &mut Vec<u8>) -> Result<bool, StoreError> {
        let (meta, seen) = (self.keys.meta(), self.history.so_far());
        let now: StoreTime = self.step(Terms::default(), |step| Ok(step.now())).await?;
        let mut changes = Changes::default();
        // another repair may have been made on the same grounds, and have been built upon since
        let no_other = Guard::field(meta.clone(), REPAIRED, repaired.clone());
        let mut guards = vec![no_other];
        for claim in piece {
            claim.set_right(&mut changes);
            for guard in &claim.guards {
                if !guards.contains(guard) {
                    guards.push(guard.clone());
                }
            }
        }
        changes.push("HINCRBY", meta, vec![REPAIRED.into(), b"1".into()]);
        let known = Known { now, ..Known::default() };
        let stands = self.commit(&Terms::default(), &seen, known, changes, guards).await?;
        if stands {
            *repaired = next(repaired);
        }
        Ok(stands)
    }
}

/// The count after one that was read.
fn next(counted: &[u8]) -> Vec<u8> {
    let count = std::str::from_utf8(counted).ok().and_then(|text| text.parse().ok()).unwrap_or(0u64);
    (count + 1).to_string().into()
}
