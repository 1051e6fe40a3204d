//! Photos of a task on their way to the VAE: read, judged where the worker has networks for faces, and cut to what the model sees.
//!
//! Without networks every photo is needed, and becomes its centred square. With them a photo that cannot be learned from is
//! dropped, the others become portraits, and the task goes on where enough are left. What was found is told either way; a
//! task that cannot go on fails for good, for every attempt would find the same.

use std::collections::VecDeque;

use bytes::Bytes;
use likeness_diffusion::picture::RgbPicture;
use likeness_faces::FaceError;
use likeness_faces::check::{CheckLimits, CheckedPhoto, CheckedSet, PhotoChecker};
use likeness_faces::intake::{Photo, PhotoLimits, PhotoRefused, PhotoSet, RgbPixels, read_photo};
use likeness_faces::portrait::Portrait;
use likeness_faces::recognise::Embedding;
use likeness_photo_report::{of_task, photo_report};
use likeness_shared::limits::MIN_PHOTOS;
use likeness_shared::proto::{InversionSpec, PhotoReport};

use crate::engine::order::Fault;
use crate::inversion::face_mask::FaceEllipse;

/// Photos that are being taken in, one a step.
pub(super) struct Intake {
    waiting: VecDeque<Bytes>,
    taken: Taken,
    held_out: HeldOut,
}

/// Photos to keep from the training: the last of those that can be learned from, as many as are asked for and the least leaves.
#[derive(Clone, Copy, Debug)]
struct HeldOut {
    asked: usize,
    /// Photos that are learned from in any case.
    least: usize,
}

impl HeldOut {
    fn of(spec: &InversionSpec, checker: Option<&PhotoChecker>) -> Self {
        let asked = spec.quality.as_ref().and_then(|quality| quality.held_out).unwrap_or(0);
        let least = checker.map_or(MIN_PHOTOS, |checker| checker.limits().min_photos.max(MIN_PHOTOS));
        Self { asked: asked as usize, least }
    }

    /// Of so many photos, those that are learned from.
    fn learned_from(self, photos: usize) -> usize {
        photos - self.asked.min(photos.saturating_sub(self.least))
    }
}

/// What has been taken in so far.
enum Taken {
    Whole { photos: Vec<Photo>, refused: Vec<PhotoRefused>, side: u32 },
    Checked { checker: Box<PhotoChecker>, digests: Vec<String>, photos: Vec<CheckedPhoto> },
}

/// Photos as the model learns from them.
#[derive(Debug, Default)]
pub(super) struct TakenIn {
    /// Of one size.
    pub(super) photos: Vec<RgbPicture>,
    /// Those that are kept from the training, of the same size.
    pub(super) held_out: Vec<RgbPicture>,
    /// Where the face of each is.
    pub(super) faces: Vec<FaceEllipse>,
    /// What was found of all that were given, where they were searched for faces.
    pub(super) report: Option<Box<PhotoReport>>,
    /// Who those to learn from show, where they were searched for faces. It stays in this process.
    pub(super) person: Option<Embedding>,
}

impl Intake {
    /// Of these files, for a model that sees squares of this side.
    pub(super) fn new(
        files: Vec<Bytes>,
        checker: Option<&PhotoChecker>,
        spec: &InversionSpec,
        side: u32,
    ) -> Result<Self, Fault> {
        let taken = match checker {
            None => Taken::Whole { photos: Vec::new(), refused: Vec::new(), side },
            Some(checker) => {
                let limits = limits(checker.limits(), spec, side);
                let checker = checker.with_limits(limits).map_err(|error| broken(&error))?;
                let digests = spec.photo_digests.clone();
                Taken::Checked { checker: Box::new(checker), digests, photos: Vec::new() }
            }
        };
        let held_out = HeldOut::of(spec, checker);
        Ok(Self { waiting: files.into(), taken, held_out })
    }

    /// Takes the next photo in.
    pub(super) fn next(&mut self) -> Result<(), Fault> {
        let Some(file) = self.waiting.pop_front() else { return Ok(()) };
        match &mut self.taken {
            Taken::Whole { photos, refused, .. } => match read_photo(&file, &PhotoLimits::default()) {
                Ok(photo) => photos.push(photo),
                Err(refusal) => refused.push(refusal.at(photos.len() + refused.len())),
            },
            Taken::Checked { checker, photos, .. } => {
                photos.push(checker.check(&file).map_err(|error| broken(&error))?);
            }
        }
        Ok(())
    }

    /// Whether every photo has been taken in.
    pub(super) fn is_done(&self) -> bool {
        self.waiting.is_empty()
    }

    /// The photos to learn from, or why there are not enough.
    pub(super) fn finish(&mut self) -> Result<TakenIn, Fault> {
        let held_out = self.held_out;
        match &mut self.taken {
            Taken::Whole { photos, refused, side } => {
                squares(std::mem::take(photos), std::mem::take(refused), *side, held_out)
            }
            Taken::Checked { checker, digests, photos } => {
                portraits(checker.check_set(std::mem::take(photos)), digests, held_out)
            }
        }
    }
}

/// The worker's limits for this task: the portrait is what the model sees, and a task may need more photos than the worker asks for.
fn limits(worker: &CheckLimits, spec: &InversionSpec, side: u32) -> CheckLimits {
    let asked = spec.min_photos.map_or(0, |least| least as usize);
    CheckLimits { portrait_side: side, min_photos: worker.min_photos.max(asked), ..worker.clone() }
}

/// The centred squares, or every refusal.
fn squares(
    photos: Vec<Photo>,
    refused: Vec<PhotoRefused>,
    side: u32,
    held_out: HeldOut,
) -> Result<TakenIn, Fault> {
    if !refused.is_empty() {
        return Err(refusal(&refused));
    }
    let set = PhotoSet::new(photos, &PhotoLimits::default()).map_err(|refused| refusal(&refused))?;
    let mut photos: Vec<_> = set.photos().iter().map(|photo| picture(photo.square(side))).collect();
    let held_out = photos.split_off(held_out.learned_from(photos.len()));
    let faces = vec![FaceEllipse::default(); photos.len()];
    Ok(TakenIn { photos, held_out, faces, report: None, person: None })
}

/// The portraits of the photos that can be learned from, or why they are too few.
fn portraits(set: CheckedSet, digests: &[String], held_out: HeldOut) -> Result<TakenIn, Fault> {
    let report = Box::new(of_task(photo_report(&set, digests)));
    if let Some(refused) = &set.refused {
        let message = std::iter::once(format!("{}; {}", refused.sentence, refused.hint))
            .chain(set.photos.iter().flat_map(|photo| &photo.refusals).map(|refusal| {
                let number = refusal.index.map_or(0, |index| index + 1);
                format!("photo {number}: {refusal}")
            }))
            .collect::<Vec<_>>()
            .join(". ");
        return Err(Fault::lasting(refused.code.as_str(), message).about(report));
    }
    let mut usable: Vec<CheckedPhoto> = set.photos.into_iter().filter(CheckedPhoto::is_usable).collect();
    let held_out = usable.split_off(held_out.learned_from(usable.len()));
    // the start is chosen by it: photos that are held out must not take part
    let person = Embedding::mean(usable.iter().filter_map(|photo| photo.embedding.as_ref()));
    let cut = |photos: Vec<CheckedPhoto>| photos.into_iter().filter_map(|photo| photo.portrait);
    let (faces, photos) = cut(usable).map(|portrait| (ellipse(&portrait), picture(portrait.pixels))).unzip();
    let held_out = cut(held_out).map(|portrait| picture(portrait.pixels)).collect();
    Ok(TakenIn { photos, held_out, faces, report: Some(report), person })
}

/// The face of a portrait: where it is in an FFHQ-style crop, if that had not been moved or shrunk to stay in the photo.
fn ellipse(portrait: &Portrait) -> FaceEllipse {
    let head = portrait.head();
    let [x, y, side] = [head.centre.x, head.centre.y, head.side].map(f64::from);
    let width = f64::from(portrait.pixels.width.max(1));
    FaceEllipse::of_head(((x + 0.5) / width, (y + 0.5) / width), side / width)
}

fn picture(RgbPixels { width, height, pixels }: RgbPixels) -> RgbPicture {
    RgbPicture { width, height, pixels }
}

/// The first refusal's code, and every refusal's sentence and hint.
fn refusal(refused: &[PhotoRefused]) -> Fault {
    let sentence = |refusal: &PhotoRefused| {
        // A refusal of a set names its photos itself.
        let which = match refusal.index {
            Some(index) if !refusal.sentence.starts_with("photo") => format!("photo {}: ", index + 1),
            _ => String::new(),
        };
        format!("{which}{}; {}", refusal.sentence, refusal.hint)
    };
    let code = refused.first().map_or("corrupt", |refusal| refusal.code.as_str());
    Fault::lasting(code, refused.iter().map(sentence).collect::<Vec<_>>().join(". "))
}

/// A network that fails is the worker's affair, whatever the photo.
fn broken(error: &FaceError) -> Fault {
    Fault::of_worker("faces_failed", error)
}

#[cfg(test)]
mod tests {
    use likeness_faces::align::TEMPLATE;
    use likeness_faces::intake::RefusalCode;
    use likeness_faces::{FivePoints, Point};

    use super::*;
    use crate::engine::Blame;

    const NONE_HELD_OUT: HeldOut = HeldOut { asked: 0, least: MIN_PHOTOS };

    fn refused(code: RefusalCode, sentence: &str) -> CheckedPhoto {
        let refusal = PhotoRefused {
            code,
            sentence: sentence.to_owned(),
            hint: "send another".to_owned(),
            index: None,
        };
        let mut photo = CheckedPhoto::default();
        photo.refusals = vec![refusal];
        photo
    }

    /// A photo of 400 x 300 with a face at this place.
    fn portrait(x: f32, y: f32) -> Portrait {
        let picture = RgbPixels { width: 400, height: 300, pixels: vec![90; 400 * 300 * 3] };
        let points = TEMPLATE.map(|point| Point::new(x + point.x, y + point.y));
        Portrait::cut(&picture, &FivePoints::from_array(points), 64, 1.0).unwrap()
    }

    #[test]
    fn what_is_dropped_is_told_and_the_rest_is_cut() {
        let mut good = CheckedPhoto::default();
        good.portrait = Some(portrait(100.0, 90.0));
        let photos = vec![good.clone(), refused(RefusalCode::Blurry, "it is soft"), good.clone(), good];
        let set = CheckedSet::of(photos, &CheckLimits { min_photos: 1, ..CheckLimits::default() });
        // Without embeddings and pixels' digests the last two are copies of the first.
        let digests = ["a".into(), "b".into(), "c".into(), "d".into()];
        let taken = portraits(set, &digests, NONE_HELD_OUT).unwrap();
        let report = taken.report.unwrap();
        assert_eq!((report.given, report.used as usize), (4, taken.photos.len()));
        assert_eq!((report.photos[0].index, report.photos[0].artifact_digest.as_str()), (1, "b"));
        assert_eq!((taken.photos[0].width, taken.faces.len()), (64, taken.photos.len()));
    }

    #[test]
    fn too_few_are_the_tasks_fault_and_every_photo_is_named() {
        let photos =
            vec![refused(RefusalCode::TooDark, "it is dark"), refused(RefusalCode::Blurry, "it is soft")];
        let set = CheckedSet::of(photos, &CheckLimits::default());
        let fault = portraits(set, &["a".into(), "b".into()], NONE_HELD_OUT).unwrap_err();
        assert_eq!((fault.code.as_str(), fault.blame), ("too_few", Blame::Task));
        for said in [
            "0 usable photos are too few",
            "photo 1: it is dark (too_dark); send another",
            "photo 2: it is soft",
        ] {
            assert!(fault.message.contains(said), "{fault}");
        }
        assert_eq!(fault.photos.map(|report| report.photos.len()), Some(2));
    }

    #[test]
    fn the_last_usable_photos_are_held_out_and_say_nothing_of_who_it_is() {
        let photo = |shade: u8, direction: [f32; 2]| {
            let mut photo = CheckedPhoto::default();
            let mut portrait = portrait(100.0, 90.0);
            portrait.pixels.pixels.fill(shade);
            photo.portrait = Some(portrait);
            photo.embedding = Embedding::of(&direction);
            photo
        };
        let mut photos: Vec<_> = (1..=4).map(|shade| photo(shade, [1.0, 0.0])).collect();
        photos.push(refused(RefusalCode::Blurry, "it is soft"));
        photos.push(photo(6, [0.8, 0.6]));
        let taken = |asked| {
            let set = CheckedSet { photos: photos.clone(), refused: None, advice: vec![], middle: None };
            portraits(set, &[], HeldOut { asked, least: MIN_PHOTOS }).unwrap()
        };
        let shades = |photos: &[RgbPicture]| photos.iter().map(|photo| photo.pixels[0]).collect::<Vec<_>>();
        let one = taken(1);
        assert_eq!((shades(&one.photos), shades(&one.held_out)), (vec![1, 2, 3, 4], vec![6]));
        assert_eq!((one.faces.len(), one.person.unwrap().values()), (4, &[1.0, 0.0][..]));
        let many = taken(10);
        assert_eq!((shades(&many.photos), shades(&many.held_out)), (vec![1, 2, 3], vec![4, 6]));
        assert!(taken(0).person.unwrap().values()[1] > 0.0);
    }

    #[test]
    fn the_ellipse_stays_on_a_face_whose_square_was_moved() {
        let within = |portrait: &Portrait| {
            let face = ellipse(portrait);
            let centred = FaceEllipse::default();
            (face.centre.0 - centred.centre.0, face.centre.1 - centred.centre.1, face.half_axes)
        };
        let (x, y, axes) = within(&portrait(150.0, 100.0));
        assert!(x.abs() < 0.01 && y.abs() < 0.01 && (axes.0 - 0.33).abs() < 0.01, "{x} {y} {axes:?}");
        let (x, y, axes) = within(&portrait(-20.0, 100.0));
        assert!(x < -0.1 && y.abs() < 0.01 && (axes.1 - 0.45).abs() < 0.01, "{x} {y} {axes:?}");
    }

    #[test]
    fn a_task_may_need_more_photos_than_the_worker_and_never_fewer() {
        let worker = CheckLimits { min_photos: 4, ..CheckLimits::default() };
        let least =
            |min_photos| limits(&worker, &InversionSpec { min_photos, ..InversionSpec::default() }, 64);
        assert_eq!([None, Some(3), Some(6)].map(|asked| least(asked).min_photos), [4, 4, 6]);
        assert_eq!(least(None).portrait_side, 64);
    }
}
