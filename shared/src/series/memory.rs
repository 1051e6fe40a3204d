//! Series in the process: a ring of points for each subject, and only so many subjects.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use super::{Cursor, Point, Points, Series, SeriesError, Subject};

/// Points kept of one subject.
const POINTS: usize = 1024;
/// Subjects kept; the one that was written to longest ago goes first.
const SUBJECTS: usize = 256;

/// Series that live as long as the process.
#[derive(Debug, Default)]
pub struct MemorySeries {
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    /// Number of the newest point; grows over all subjects.
    last: u64,
    rings: HashMap<Subject, VecDeque<(u64, Point)>>,
}

impl Kept {
    fn make_room(&mut self) {
        let newest = |ring: &VecDeque<(u64, Point)>| ring.back().map_or(0, |(number, _)| *number);
        let oldest =
            self.rings.iter().min_by_key(|(_, ring)| newest(ring)).map(|(subject, _)| subject.clone());
        if let Some(oldest) = oldest {
            self.rings.remove(&oldest);
        }
    }
}

#[tonic::async_trait]
impl Series for MemorySeries {
    fn record(&self, subject: &Subject, point: Point) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if !kept.rings.contains_key(subject) && kept.rings.len() >= SUBJECTS {
            kept.make_room();
        }
        kept.last += 1;
        let number = kept.last;
        let ring = kept.rings.entry(subject.clone()).or_default();
        if ring.len() >= POINTS {
            ring.pop_front();
        }
        ring.push_back((number, point));
    }

    async fn read(&self, subject: &Subject, after: Cursor, most: usize) -> Result<Points, SeriesError> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(ring) = kept.rings.get(subject) else {
            return Ok(Points { points: Vec::new(), cursor: after });
        };
        let newer = ring.iter().rev().take_while(|(number, _)| *number > after.major).take(most);
        let mut points: Vec<Point> = newer.map(|(_, point)| point.clone()).collect();
        points.reverse();
        let major = ring.back().map_or(after.major, |(number, _)| (*number).max(after.major));
        Ok(Points { points, cursor: Cursor { major, minor: 0 } })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::TaskId;

    fn point(step: usize) -> Point {
        Point::at_this_moment(u32::try_from(step).unwrap(), [("loss", 0.5), ("no number", f64::NAN)])
    }

    fn steps(points: &Points) -> Vec<u32> {
        points.points.iter().map(|point| point.step).collect()
    }

    #[tokio::test]
    async fn points_are_read_on_from_a_cursor_newest_only_where_there_are_too_many() {
        let (series, subject) = (MemorySeries::default(), Subject::Task(TaskId::generate()));
        let none = series.read(&subject, Cursor::default(), 9).await.unwrap();
        assert_eq!(none, Points::default());
        (1..=5).for_each(|step| series.record(&subject, point(step)));
        let first = series.read(&subject, none.cursor, 2).await.unwrap();
        assert_eq!(steps(&first), [4, 5]);
        assert_eq!(first.points[0].values.len(), 1, "what is no number is left out");
        assert_eq!(series.read(&subject, first.cursor, 2).await.unwrap().points, []);
        series.record(&subject, point(6));
        assert_eq!(steps(&series.read(&subject, first.cursor, 2).await.unwrap()), [6]);
    }

    #[tokio::test]
    async fn neither_points_nor_subjects_grow_without_end() {
        let (series, subject) = (MemorySeries::default(), Subject::Task(TaskId::generate()));
        (0..POINTS + 7).for_each(|step| series.record(&subject, point(step)));
        let all = series.read(&subject, Cursor::default(), usize::MAX).await.unwrap();
        assert_eq!((all.points.len(), all.points[0].step), (POINTS, 7));
        for _ in 0..SUBJECTS {
            series.record(&Subject::Task(TaskId::generate()), point(1));
        }
        assert_eq!(series.read(&subject, Cursor::default(), 9).await.unwrap().points, []);
        assert_eq!(series.kept.lock().unwrap().rings.len(), SUBJECTS);
    }
}
