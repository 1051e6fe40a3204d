//! A training step of each of several users, in one pass and one after another: what company saves.

use likeness_worker::inversion::training_pass::{Member, Want, training_pass};

use super::super::session::Session;
use super::super::subject::{Learner, Subject};
use super::super::timing::WARM_UPS;

const USERS: usize = 8;
const BATCHED: &str = "users_batched";
const ONE_BY_ONE: &str = "users_one_by_one";

pub(super) fn measure(session: &mut Session<'_>, rows_each: &[usize]) -> anyhow::Result<()> {
    let subject = session.subject;
    for rows in rows_each {
        let all = USERS * rows;
        session.measure(ONE_BY_ONE, all, WARM_UPS, || steps(subject, *rows, 1))?;
        session.measure(BATCHED, all, WARM_UPS, || steps(subject, *rows, USERS))?;
        if let (Some(one_by_one), Some(batched)) =
            (session.median(ONE_BY_ONE, all), session.median(BATCHED, all))
        {
            let ratio = one_by_one / batched;
            session.voice.say(format_args!(
                "{USERS} users (--rows-each {rows}): {ratio:.2} times as fast in one pass"
            ));
        }
    }
    Ok(())
}

/// A step of every user, so many users in a pass.
fn steps(
    subject: &Subject,
    rows: usize,
    at_once: usize,
) -> anyhow::Result<impl FnMut() -> anyhow::Result<()>> {
    let mut learners = (0..USERS)
        .map(|user| subject.learner(rows, user as u64))
        .collect::<anyhow::Result<Vec<Learner>>>()?;
    Ok(move || {
        for company in learners.chunks_mut(at_once) {
            let members: Vec<Member<'_>> = company
                .iter()
                .map(|learner| Member { batch: &learner.batch, vectors: &learner.vectors })
                .collect();
            let most_rows = rows * members.len();
            let outcomes =
                training_pass(&subject.model, &subject.schedule, &members, Want::Gradients, most_rows)?;
            company.iter_mut().zip(&outcomes).for_each(|(learner, rows)| learner.learn(rows));
        }
        Ok(())
    })
}
