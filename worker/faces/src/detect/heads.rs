//! What the network's twelve outputs mean.
//!
//! The picture is a grid of cells of 8, 16 and 32 pixels. Each cell says how sure it is of a face (`cls`, `obj`: the score is
//! the square root of their product), where (`bbox[0..2]`: centre within the cell, in cells), how large (`bbox[2..4]`: logarithm of
//! width and height, in cells) and where the five points are (`kps`, from the cell's corner, in cells).

use rten::NodeId;

use crate::error::FaceError;
use crate::face::{Bounds, Face, FivePoints, Point};
use crate::network::{Network, Output};

const STRIDES: [usize; 3] = [8, 16, 32];
const KINDS: [(&str, usize); 4] = [("cls", 1), ("obj", 1), ("bbox", 4), ("kps", 10)];
const WANTED: &str =
    "the outputs cls, obj, bbox and kps for each of the strides 8, 16 and 32 (cls_8 and so on)";

/// The outputs, four for each stride.
#[derive(Debug)]
pub(super) struct Heads {
    outputs: Vec<NodeId>,
}

impl Heads {
    pub(super) fn of(network: &Network) -> Result<Self, FaceError> {
        let mut outputs = Vec::new();
        for stride in STRIDES {
            for (kind, _) in KINDS {
                let name = format!("{kind}_{stride}");
                let missing = || network.wrong_shape(format!("no output named {name}"), WANTED);
                outputs.push(network.output(&name).ok_or_else(missing)?);
            }
        }
        Ok(Self { outputs })
    }

    pub(super) fn outputs(&self) -> &[NodeId] {
        &self.outputs
    }

    /// Every find at least as sure as `least`, in pixels of the network's input.
    pub(super) fn read(
        &self,
        network: &Network,
        outputs: &[Output],
        (width, height): (usize, usize),
        least: f32,
    ) -> Result<Vec<Face>, FaceError> {
        let mut faces = Vec::new();
        for (stride, heads) in STRIDES.into_iter().zip(outputs.chunks_exact(KINDS.len())) {
            let (columns, cells) = (width / stride, width / stride * (height / stride));
            for ((kind, numbers), Output { shape, values }) in KINDS.iter().zip(heads) {
                if values.len() != cells * numbers {
                    let found =
                        format!("{kind}_{stride} of the shape {shape:?} for {width} x {height} pixels");
                    return Err(network.wrong_shape(found, WANTED));
                }
            }
            let [cls, obj, bounds, points] = heads else { continue };
            let bounds = bounds.values.as_chunks::<4>().0;
            let points = points.values.as_chunks::<10>().0;
            for (cell, (((cls, obj), bounds), points)) in
                cls.values.iter().zip(&obj.values).zip(bounds).zip(points).enumerate()
            {
                let score = score(*cls, *obj);
                if score >= least {
                    let corner = Point::new((cell % columns) as f32, (cell / columns) as f32);
                    faces.extend(face(score, corner, bounds, points, stride as f32));
                }
            }
        }
        Ok(faces)
    }
}

fn score(cls: f32, obj: f32) -> f32 {
    (cls.clamp(0.0, 1.0) * obj.clamp(0.0, 1.0)).sqrt()
}

/// `None` where a number is not finite.
fn face(score: f32, corner: Point, bounds: &[f32; 4], points: &[f32; 10], stride: f32) -> Option<Face> {
    let [x, y, log_width, log_height] = *bounds;
    let (width, height) = (log_width.exp() * stride, log_height.exp() * stride);
    let bounds = Bounds {
        left: (corner.x + x) * stride - width / 2.0,
        top: (corner.y + y) * stride - height / 2.0,
        width,
        height,
    };
    let mut places = [Point::default(); 5];
    for (place, [x, y]) in places.iter_mut().zip(points.as_chunks::<2>().0) {
        *place = Point::new((corner.x + x) * stride, (corner.y + y) * stride);
    }
    let finite = |point: &Point| point.x.is_finite() && point.y.is_finite();
    let is_finite = bounds.area().is_finite()
        && bounds.left.is_finite()
        && bounds.top.is_finite()
        && places.iter().all(finite);
    is_finite.then(|| Face { bounds, points: FivePoints::from_array(places), score })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_says_where_its_face_is() {
        let points = [0.0, 0.0, 1.0, 0.0, 0.5, 0.5, 0.0, 1.0, 1.0, 1.0];
        let found = face(0.9, Point::new(2.0, 3.0), &[0.5, 0.25, 0.0, 2.0f32.ln()], &points, 16.0).unwrap();
        assert_eq!(found.bounds.left, 32.0);
        assert!((found.bounds.top - 36.0).abs() < 1e-4 && (found.bounds.height - 32.0).abs() < 1e-4);
        assert_eq!(found.points.nose, Point::new(40.0, 56.0));
        assert_eq!(found.points.right_mouth, Point::new(48.0, 64.0));
        assert_eq!(face(0.9, Point::default(), &[0.0, 0.0, 1e9, 0.0], &points, 8.0), None);
        assert_eq!(face(0.9, Point::default(), &[f32::NAN, 0.0, 0.0, 0.0], &points, 8.0), None);
    }

    #[test]
    fn sureness_is_the_geometric_mean() {
        assert_eq!(score(0.25, 1.0), 0.5);
        assert_eq!(score(-0.5, 1.0), 0.0);
    }
}
