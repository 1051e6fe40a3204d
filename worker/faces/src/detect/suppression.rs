//! Several finds of one face become one: greedy non-maximum suppression.

use crate::face::Face;

/// The finds, surest first, without those that overlap a surer one by more than `overlap` (Jaccard).
pub(super) fn surest(mut found: Vec<Face>, overlap: f32) -> Vec<Face> {
    found.sort_by(|a, b| b.score.total_cmp(&a.score));
    let mut kept: Vec<Face> = Vec::new();
    for face in found {
        if kept.iter().all(|other| face.bounds.overlap(other.bounds) <= overlap) {
            kept.push(face);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::face::{Bounds, FivePoints, Point};

    #[test]
    fn the_surest_of_overlapping_finds_stays() {
        let face = |left: f32, score: f32| Face {
            bounds: Bounds { left, top: 0.0, width: 10.0, height: 10.0 },
            points: FivePoints::from_array([Point::default(); 5]),
            score,
        };
        let kept = surest(vec![face(1.0, 0.8), face(0.0, 0.9), face(30.0, 0.7), face(8.0, 0.75)], 0.45);
        assert_eq!(kept.iter().map(|face| face.score).collect::<Vec<_>>(), [0.9, 0.75, 0.7]);
    }
}
