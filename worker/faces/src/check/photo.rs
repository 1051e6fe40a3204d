//! One photo: who is on it, how well they are seen, and whether that is good enough.

use super::light::Light;
use super::limits::CheckLimits;
use super::pose::Pose;
use super::sharpness::sharpness;
use super::thumbprint::Thumbprint;
use super::words;
use crate::align::{CHIP_SIDE, aligned, aligned_at, pixels_per_chip_pixel};
use crate::error::FaceError;
use crate::face::Face;
use crate::intake::{Photo, PhotoRefused, RgbPixels};
use crate::portrait::Portrait;
use crate::recognise::{Embedding, Recogniser};

/// Sides of the chip that sharpness is measured on: as many pixels as the face has, within these.
const SHARPNESS_SIDES: (f32, f32) = (64.0, 224.0);

/// How the person's face is seen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FaceFacts {
    /// Where it is in the upright photo.
    pub face: Face,
    /// 0..=1.
    pub sharpness: f32,
    /// How light falls on it.
    pub light: Light,
    /// Where it looks.
    pub pose: Pose,
}

/// A photo after its check. It keeps the portrait and not the photo, so that a set of large photos takes little memory.
#[derive(Clone, Debug, Default)]
pub struct CheckedPhoto {
    /// Why it cannot be learned from, the main reason first. Empty = it can.
    pub refusals: Vec<PhotoRefused>,
    /// Pixels of the upright photo; `None` where it could not be read.
    pub sides: Option<(u32, u32)>,
    /// Faces that were found.
    pub faces: usize,
    /// The person's, where one face is the person's.
    pub facts: Option<FaceFacts>,
    /// The head, cut out; there is one wherever there are facts.
    pub portrait: Option<Portrait>,
    /// Who it is; only of photos that were not refused.
    pub embedding: Option<Embedding>,
    /// Cosine to the photo in the middle of the set, once the set was looked at.
    pub likeness: Option<f32>,
    pub(super) digest: Option<[u8; 32]>,
    pub(super) thumbprint: Option<Thumbprint>,
}

impl CheckedPhoto {
    /// A file that intake did not take.
    pub(super) fn unread(refusal: PhotoRefused) -> Self {
        Self { refusals: vec![refusal], ..Self::default() }
    }

    /// Whether it can be learned from.
    pub fn is_usable(&self) -> bool {
        self.refusals.is_empty()
    }

    /// The same with one reason alone, beside which the others mean nothing.
    pub(super) fn refused_as(self, refusal: PhotoRefused) -> Self {
        Self { refusals: vec![refusal], embedding: None, thumbprint: None, ..self }
    }

    /// Judges a photo in which these faces (the largest first) were found.
    pub(super) fn of(
        photo: &Photo,
        faces: &[Face],
        recogniser: &Recogniser,
        limits: &CheckLimits,
    ) -> Result<Self, FaceError> {
        let picture = photo.picture();
        let mut checked = Self {
            sides: Some((picture.width, picture.height)),
            faces: faces.len(),
            digest: Some(*photo.digest()),
            ..Self::default()
        };
        let Some(face) = faces.first() else {
            checked.refusals.push(why_no_face(picture, limits));
            return Ok(checked);
        };
        let is_alone =
            faces.iter().skip(1).all(|other| other.bounds.area() * limits.dominance <= face.bounds.area());
        if !is_alone {
            checked.refusals.push(words::multiple_faces(faces.len()));
            return Ok(checked);
        }
        let Some(chip) = aligned(picture, &face.points)? else {
            checked.refusals.push(words::no_face());
            return Ok(checked);
        };
        let facts = facts(picture, face, &chip)?;
        checked.refusals = refusals(&facts, limits);
        checked.facts = Some(facts);
        let portrait = Portrait::cut(picture, &face.points, limits.portrait_side, limits.portrait_scale)?;
        if checked.refusals.is_empty() {
            checked.thumbprint = Some(Thumbprint::of(&chip)?);
            checked.embedding = recogniser.embed(&[chip])?.pop();
        }
        checked.portrait = Some(portrait);
        Ok(checked)
    }
}

/// In a picture that is all dark or all white, that is the reason.
fn why_no_face(picture: &RgbPixels, limits: &CheckLimits) -> PhotoRefused {
    let light = Light::of_picture(picture);
    if light.highlight < limits.darkest_highlight {
        words::too_dark()
    } else if light.middle > limits.brightest_middle {
        words::too_bright()
    } else {
        words::no_face()
    }
}

fn facts(picture: &RgbPixels, face: &Face, chip: &RgbPixels) -> Result<FaceFacts, FaceError> {
    let (least, most) = SHARPNESS_SIDES;
    let side = (CHIP_SIDE as f32 * pixels_per_chip_pixel(&face.points)).clamp(least, most);
    let detailed = aligned_at(picture, &face.points, side as u32)?;
    let sharpness = detailed.as_ref().map(sharpness).transpose()?.unwrap_or_default();
    Ok(FaceFacts { face: *face, sharpness, light: Light::of_chip(chip), pose: Pose::of(&face.points) })
}

fn refusals(facts: &FaceFacts, limits: &CheckLimits) -> Vec<PhotoRefused> {
    let width = facts.face.bounds.width;
    let mut refusals = Vec::new();
    if width < limits.min_face {
        refusals.push(words::face_too_small(width, limits));
    }
    if facts.light.highlight < limits.darkest_highlight {
        refusals.push(words::too_dark());
    }
    if facts.light.middle > limits.brightest_middle {
        refusals.push(words::too_bright());
    }
    refusals.extend(words::extreme_pose(facts.pose, limits));
    if facts.sharpness < limits.min_sharpness {
        refusals.push(words::blurry(facts.sharpness, limits));
    }
    refusals
}
