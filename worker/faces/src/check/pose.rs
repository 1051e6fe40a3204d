//! Where a face looks, estimated from its five points.
//!
//! A rough model of a head is enough to tell a profile from a face: the tip of the nose stands 0.55 eye distances before the plane
//! of eyes and mouth, and in a face seen from the front it lies in the middle between the eyes and halfway to the mouth (as in ArcFace's
//! template). Turning moves it along the eyes, nodding along the line from eyes to mouth. Good to about 10 degrees.

use crate::face::FivePoints;

/// How far the nose stands out, as a part of the distance between the eyes.
const NOSE_BY_EYES: f32 = 0.55;
/// The same as a part of the way from eyes to mouth, which is a little longer.
const NOSE_BY_MOUTH: f32 = 0.48;
/// How far below the eyes the nose is, as a part of the way to the mouth.
const NOSE_LEVEL: f32 = 0.495;

/// Angles in degrees; all 0 for a face that looks into the camera.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Pose {
    /// Turned aside; positive = to the right of the picture.
    pub yaw: f32,
    /// Positive = looks up.
    pub pitch: f32,
    /// Tilted; positive = clockwise in the picture. 180 = upside down.
    pub roll: f32,
}

impl Pose {
    /// The pose of a face with these points.
    pub fn of(points: &FivePoints) -> Self {
        let eyes = points.left_eye.middle(points.right_eye);
        let across = points.right_eye.minus(points.left_eye);
        let down = points.left_mouth.middle(points.right_mouth).minus(eyes);
        let nose = points.nose.minus(eyes);
        let along = |way: crate::face::Point| nose.dot(way) / way.dot(way).max(f32::MIN_POSITIVE);
        // A profile has its eyes in one place: then the way to the mouth says how large the head is.
        let yaw = if across.length() > 0.1 * down.length() {
            (along(across) / NOSE_BY_EYES).atan()
        } else {
            std::f32::consts::FRAC_PI_2
        };
        let pitch = ((NOSE_LEVEL - along(down)) / NOSE_BY_MOUTH).atan();
        let roll = across.y.atan2(across.x);
        Self { yaw: yaw.to_degrees(), pitch: pitch.to_degrees(), roll: roll.to_degrees() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::align::TEMPLATE;
    use crate::face::Point;

    /// A head's five points in space (x right, y down, z out of the face, eyes 1 apart), turned, then seen from far away.
    fn seen(yaw: f32, pitch: f32, roll: f32) -> FivePoints {
        let head =
            [[-0.5, 0.0, 0.0], [0.5, 0.0, 0.0], [0.0, 0.57, 0.55], [-0.41, 1.154, 0.0], [0.41, 1.154, 0.0]];
        let (yaw, pitch, roll) = (yaw.to_radians(), pitch.to_radians(), roll.to_radians());
        FivePoints::from_array(head.map(|[x, y, z]| {
            let (x, z) = (x * yaw.cos() + z * yaw.sin(), z * yaw.cos() - x * yaw.sin());
            let y = y * pitch.cos() - z * pitch.sin();
            Point::new(x * roll.cos() - y * roll.sin(), x * roll.sin() + y * roll.cos())
        }))
    }

    #[test]
    fn the_template_looks_into_the_camera() {
        let pose = Pose::of(&FivePoints::from_array(TEMPLATE));
        assert!(pose.yaw.abs() < 2.0 && pose.pitch.abs() < 2.0 && pose.roll.abs() < 2.0, "{pose:?}");
    }

    #[test]
    fn turned_heads_are_measured() {
        for angle in [-60.0, -30.0, 0.0, 20.0, 50.0] {
            let pose = Pose::of(&seen(angle, 0.0, 0.0));
            assert!((pose.yaw - angle).abs() < 5.0, "yaw {angle}: {pose:?}");
            let pose = Pose::of(&seen(0.0, angle / 2.0, 0.0));
            assert!((pose.pitch - angle / 2.0).abs() < 5.0, "pitch {}: {pose:?}", angle / 2.0);
            let pose = Pose::of(&seen(10.0, 0.0, angle * 2.0));
            assert!((pose.roll - angle * 2.0).abs() < 5.0 && (pose.yaw - 10.0).abs() < 5.0, "roll: {pose:?}");
        }
        let profile = Pose::of(&seen(90.0, 0.0, 0.0));
        assert!(profile.yaw > 80.0, "{profile:?}");
        let nowhere = Pose::of(&FivePoints::from_array([Point::default(); 5]));
        assert!(nowhere.yaw.is_finite() && nowhere.pitch.is_finite() && nowhere.roll.is_finite());
    }
}
