//! Photos of a task that are not learned from, told as soon as its worker has looked at them: early enough to stop and send others.

use std::path::PathBuf;

use likeness_shared::proto::{PhotoRefusal, PhotoReport, PhotoVerdict, Task};

use crate::output::Voice;

/// Tells of a task's photos once.
#[derive(Debug)]
pub(crate) struct Dropped<'a> {
    /// The files, in the order in which they were sent; none where they are not known here.
    files: &'a [PathBuf],
    is_told: bool,
}

impl<'a> Dropped<'a> {
    pub(crate) fn new(files: &'a [PathBuf]) -> Self {
        Self { files, is_told: false }
    }

    /// Says what is new of it.
    pub(crate) fn tell(&mut self, task: &Task, voice: Voice) {
        let Some(report) = report(task).filter(|_| !self.is_told) else { return };
        self.is_told = true;
        for photo in &report.photos {
            for refusal in &photo.refusals {
                voice.warn(format_args!("{} is not learned from: {}", self.name(photo), reason(refusal)));
            }
        }
        if report.refused.is_none() {
            if report.used < report.given {
                voice.say(format_args!("{} of {} photos are learned from", report.used, report.given));
            }
            report.advice.iter().for_each(|advice| voice.say(format_args!("advice: {}", advice.sentence)));
        }
    }

    fn name(&self, photo: &PhotoVerdict) -> String {
        let file = self.files.get(photo.index as usize);
        file.map_or_else(|| number(photo), |path| format!("photo {}", path.display()))
    }
}

/// What was found of a task's photos, where that is known.
pub(crate) fn report(task: &Task) -> Option<&PhotoReport> {
    task.progress.as_ref()?.photos.as_deref()
}

/// Lines for `task get`.
pub(crate) fn facts(task: &Task) -> Vec<(&'static str, String)> {
    let Some(report) = report(task) else { return Vec::new() };
    let mut facts = vec![("photos", format!("{} of {} are learned from", report.used, report.given))];
    for photo in &report.photos {
        let reasons = photo.refusals.iter().map(|refusal| format!("{}: {}", number(photo), reason(refusal)));
        facts.extend(reasons.map(|reason| ("dropped", reason)));
    }
    facts.extend(report.advice.iter().map(|advice| ("advice", advice.sentence.clone())));
    facts
}

fn number(photo: &PhotoVerdict) -> String {
    format!("photo {}", photo.index + 1)
}

fn reason(refusal: &PhotoRefusal) -> String {
    format!("{} ({}); {}", refusal.sentence, refusal.code, refusal.hint)
}

#[cfg(test)]
mod tests {
    use likeness_shared::proto::Progress;

    use super::*;

    #[test]
    fn photos_are_named_by_file_where_that_is_known() {
        let refusal = PhotoRefusal {
            code: "too_dark".to_owned(),
            sentence: "it is dark".to_owned(),
            hint: "switch the light on".to_owned(),
        };
        let verdict = PhotoVerdict { index: 1, refusals: vec![refusal], ..PhotoVerdict::default() };
        let files = [PathBuf::from("a.jpg"), PathBuf::from("b.jpg")];
        assert_eq!(Dropped::new(&files).name(&verdict), "photo b.jpg");
        assert_eq!(Dropped::new(&[]).name(&verdict), "photo 2");
        let report = PhotoReport { given: 4, used: 3, photos: vec![verdict], ..PhotoReport::default() };
        let progress = Progress { photos: Some(Box::new(report)), ..Progress::default() };
        let task = Task { progress: Some(progress), ..Task::default() };
        let expected = [
            ("photos", "3 of 4 are learned from".to_owned()),
            ("dropped", "photo 2: it is dark (too_dark); switch the light on".to_owned()),
        ];
        assert_eq!(facts(&task), expected);
        assert_eq!(facts(&Task::default()), []);
    }
}
