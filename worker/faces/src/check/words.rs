//! What is said to the person who sent a photo.

use super::limits::CheckLimits;
use super::pose::Pose;
use crate::intake::{PhotoRefused, RefusalCode};

pub(super) fn no_face() -> PhotoRefused {
    PhotoRefused::new(
        RefusalCode::NoFace,
        "no face is seen in the photo",
        "send one in which the face is seen from the front, uncovered and upright",
    )
}

pub(super) fn multiple_faces(faces: usize) -> PhotoRefused {
    PhotoRefused::new(
        RefusalCode::MultipleFaces,
        format!("there are {faces} faces in the photo, and none is much larger than the others"),
        "cut it to the person, or send one of this person alone",
    )
}

pub(super) fn face_too_small(width: f32, limits: &CheckLimits) -> PhotoRefused {
    PhotoRefused::new(
        RefusalCode::FaceTooSmall,
        format!("the face is {width:.0} pixels wide and at least {:.0} are needed", limits.min_face),
        "send the original instead of a shrunk copy, or one that was taken from nearer",
    )
}

pub(super) fn blurry(sharpness: f32, limits: &CheckLimits) -> PhotoRefused {
    PhotoRefused::new(
        RefusalCode::Blurry,
        format!(
            "the face is blurred: its sharpness is {sharpness:.2} and at least {:.2} is needed",
            limits.min_sharpness
        ),
        "send one that is in focus; in good light nothing moves",
    )
}

pub(super) fn too_dark() -> PhotoRefused {
    PhotoRefused::new(
        RefusalCode::TooDark,
        "it is too dark to see the face",
        "send one with light on the face: at a window, or outdoors by day",
    )
}

pub(super) fn too_bright() -> PhotoRefused {
    PhotoRefused::new(
        RefusalCode::TooBright,
        "there is so much light that the face is white",
        "send one without a lamp, flash or full sun on the face",
    )
}

/// `None` where the pose is fine.
pub(super) fn extreme_pose(pose: Pose, limits: &CheckLimits) -> Option<PhotoRefused> {
    let (sentence, hint) = if pose.roll.abs() > limits.max_roll {
        let degrees = pose.roll.abs();
        (
            format!("the face is tilted by about {degrees:.0} degrees"),
            "turn the photo until the face is upright",
        )
    } else if pose.yaw.abs() > limits.max_yaw {
        let sentence = format!("the face is turned aside by about {:.0} degrees", pose.yaw.abs());
        (sentence, "send one in which both eyes are well seen")
    } else if pose.pitch.abs() > limits.max_pitch {
        let way = if pose.pitch > 0.0 { "up" } else { "down" };
        let sentence = format!("the face looks {way} by about {:.0} degrees", pose.pitch.abs());
        (sentence, "send one that was taken from the height of the eyes")
    } else {
        return None;
    };
    Some(PhotoRefused::new(RefusalCode::ExtremePose, sentence, hint))
}

pub(super) fn turned(degrees: u32) -> PhotoRefused {
    let (sentence, hint) = match degrees {
        90 => ("the photo lies on its side", "turn it by a quarter clockwise and send it again"),
        270 => ("the photo lies on its side", "turn it by a quarter anticlockwise and send it again"),
        _ => ("the photo stands on its head", "turn it upright and send it again"),
    };
    PhotoRefused::new(RefusalCode::ExtremePose, sentence, hint)
}

pub(super) fn different_person(likeness: f32, middle: usize) -> PhotoRefused {
    PhotoRefused::new(
        RefusalCode::DifferentPerson,
        format!(
            "it shows somebody else than most of the others (likeness to photo {}: {likeness:.2})",
            middle + 1
        ),
        "leave it out, or make sure that all photos show the same person",
    )
}

pub(super) fn duplicate(first: usize, is_exact: bool) -> PhotoRefused {
    let how = if is_exact { "exactly the same as" } else { "the same picture as in" };
    PhotoRefused::new(
        RefusalCode::Duplicate,
        format!("it shows {how} photo {}", first + 1),
        "leave it out, or send another photo of the person instead",
    )
}
