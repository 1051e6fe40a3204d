//! How near pictures are to a person, by a simple fixed measure that needs no network.
//!
//! A picture is cut to its middle (the face), and described by the mean colours of a 10x10 grid and by how strongly
//! edges run in 8 directions in a 5x5 grid (a small histogram of oriented gradients). Every one of these 500 numbers
//! is divided by how much it usually differs between photos of one and the same person (people other than the one
//! measured). The distance of a picture is the root mean square difference to the mean of the person's photos: about
//! 1.2 for another photo of the same person, 2.5 for a photo of somebody else.
//!
//! On the 96 photos of the 12 shipped people the nearest mean is the right person's for 94. It knows colours and
//! shapes at fixed places, not faces: it cannot be compared with a face recogniser's score, and it was made for
//! portraits as the pocket model draws them.

use image::RgbImage;
use image::imageops::{self, FilterType};

/// Side of the pictures that are measured, in pixels; others are brought to it.
pub(crate) const SIDE: u32 = 64;
const CUT: u32 = 12;
const COLOUR_CELL: u32 = 4;
const EDGE_CELL: u32 = 8;
const DIRECTIONS: usize = 8;
/// No spread is taken to be smaller than this, or a number that never varies would rule the distance.
const LEAST_SPREAD: f64 = 1e-3;
/// Edges weaker than this (of 1 = black to white) are mostly noise: they are not blown up to full strength.
const FAINT_EDGE: f64 = 0.02;

type Features = Vec<f64>;

/// Measures distances to one person.
pub(crate) struct Measure {
    centre: Features,
    spread: Features,
}

/// The four figures that say how good a likeness is.
#[derive(Debug, Clone, Copy, serde::Serialize)]
pub(crate) struct Likeness {
    /// Photos of somebody else: a likeness as far as this is none.
    pub(crate) floor: f64,
    /// Pictures from where the training began.
    pub(crate) start: f64,
    /// Pictures of the learned person.
    pub(crate) learned: f64,
    /// Real photos of the person, each against the others: as near as it gets.
    pub(crate) ceiling: f64,
}

/// All four figures; `others` are the photos of other people, by person, at least two of them.
pub(crate) fn likeness(
    photos: &[RgbImage],
    others: &[Vec<RgbImage>],
    start: &[RgbImage],
    learned: &[RgbImage],
) -> Likeness {
    let describe = |pictures: &[RgbImage]| pictures.iter().map(features).collect::<Vec<_>>();
    let photos = describe(photos);
    let others: Vec<Vec<Features>> = others.iter().map(|person| describe(person)).collect();
    let spread = within_person_spread(&others);
    let measure = Measure { centre: mean(&photos), spread: spread.clone() };
    let ceiling = (0..photos.len()).map(|left_out| {
        let rest: Vec<Features> = photos
            .iter()
            .enumerate()
            .filter(|(i, _)| *i != left_out)
            .map(|(_, photo)| photo.clone())
            .collect();
        Measure { centre: mean(&rest), spread: spread.clone() }.distance(&photos[left_out])
    });
    Likeness {
        floor: average(others.iter().flatten().map(|photo| measure.distance(photo))),
        start: average(start.iter().map(|picture| measure.distance(&features(picture)))),
        learned: average(learned.iter().map(|picture| measure.distance(&features(picture)))),
        ceiling: average(ceiling),
    }
}

impl Measure {
    fn distance(&self, picture: &Features) -> f64 {
        let squares =
            picture.iter().zip(&self.centre).zip(&self.spread).map(|((x, c), s)| ((x - c) / s).powi(2));
        average(squares).sqrt()
    }
}

/// The standard deviation of every number over photos of one person, pooled over people.
fn within_person_spread(people: &[Vec<Features>]) -> Features {
    let variances: Vec<Features> = people
        .iter()
        .map(|photos| {
            let centre = mean(photos);
            (0..centre.len())
                .map(|i| average(photos.iter().map(|photo| (photo[i] - centre[i]).powi(2))))
                .collect()
        })
        .collect();
    mean(&variances).iter().map(|variance| variance.sqrt() + LEAST_SPREAD).collect()
}

fn features(picture: &RgbImage) -> Features {
    let picture = imageops::resize(picture, SIDE, SIDE, FilterType::Triangle);
    let mut numbers = colours(&picture);
    numbers.extend(edges(&picture));
    numbers
}

fn colours(picture: &RgbImage) -> Features {
    let mut numbers = Vec::new();
    for_each_cell(COLOUR_CELL, |pixels| {
        for channel in 0..3 {
            numbers.push(average(
                pixels.iter().map(|(x, y)| f64::from(picture.get_pixel(*x, *y).0[channel]) / 255.0),
            ));
        }
    });
    numbers
}

fn edges(picture: &RgbImage) -> Features {
    let grey = |x: u32, y: u32| {
        let [r, g, b] = picture.get_pixel(x, y).0.map(f64::from);
        (r + g + b) / (3.0 * 255.0)
    };
    let mut numbers = Vec::new();
    for_each_cell(EDGE_CELL, |pixels| {
        let mut histogram = [0.0; DIRECTIONS];
        for (x, y) in pixels {
            let across = (grey(x + 1, *y) - grey(x - 1, *y)) / 2.0;
            let down = (grey(*x, y + 1) - grey(*x, y - 1)) / 2.0;
            let turn = down.atan2(across).rem_euclid(std::f64::consts::PI) / std::f64::consts::PI;
            let direction = ((turn * DIRECTIONS as f64) as usize).min(DIRECTIONS - 1);
            histogram[direction] += across.hypot(down) / pixels.len() as f64;
        }
        let length = histogram.iter().map(|strength| strength * strength).sum::<f64>().sqrt() + FAINT_EDGE;
        numbers.extend(histogram.map(|strength| strength / length));
    });
    numbers
}

/// Walks the cells of the middle of a picture, row by row.
fn for_each_cell(cell: u32, mut visit: impl FnMut(&[(u32, u32)])) {
    for top in (CUT..SIDE - CUT).step_by(cell as usize) {
        for left in (CUT..SIDE - CUT).step_by(cell as usize) {
            let pixels: Vec<(u32, u32)> =
                (top..top + cell).flat_map(|y| (left..left + cell).map(move |x| (x, y))).collect();
            visit(&pixels);
        }
    }
}

fn mean(rows: &[Features]) -> Features {
    let width = rows.first().map_or(0, Vec::len);
    (0..width).map(|i| average(rows.iter().map(|row| row[i]))).collect()
}

fn average(numbers: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = numbers.fold((0.0, 0_u32), |(sum, count), number| (sum + number, count + 1));
    if count == 0 { 0.0 } else { sum / f64::from(count) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shipped() -> Vec<Vec<RgbImage>> {
        let decode = |jpeg: &&[u8]| image::load_from_memory(jpeg).unwrap().to_rgb8();
        crate::pocket::people().values().map(|photos| photos.iter().map(decode).collect()).collect()
    }

    #[test]
    fn real_people_are_nearest_to_themselves() {
        let people: Vec<Vec<Features>> =
            shipped().iter().map(|photos| photos.iter().map(features).collect()).collect();
        let spread = within_person_spread(&people);
        let mut right = 0;
        for (who, photos) in people.iter().enumerate() {
            for (left_out, photo) in photos.iter().enumerate() {
                let distance = |other: usize| {
                    let rest: Vec<Features> = people[other]
                        .iter()
                        .enumerate()
                        .filter(|(i, _)| other != who || *i != left_out)
                        .map(|(_, kept)| kept.clone())
                        .collect();
                    Measure { centre: mean(&rest), spread: spread.clone() }.distance(photo)
                };
                let nearest = (0..people.len()).min_by(|a, b| distance(*a).total_cmp(&distance(*b)));
                right += usize::from(nearest == Some(who));
            }
        }
        assert!(right >= 90, "only {right} of 96 photos are nearest to their own person");
    }

    #[test]
    fn the_ceiling_is_well_under_the_floor_for_everybody() {
        let people = shipped();
        for who in 0..people.len() {
            let others: Vec<Vec<RgbImage>> = people
                .iter()
                .enumerate()
                .filter(|(i, _)| *i != who)
                .map(|(_, photos)| photos.clone())
                .collect();
            let found = likeness(&people[who], &others, &others[0], &people[who]);
            assert!(found.ceiling < 0.75 * found.floor, "person {who}: {found:?}");
            assert!(found.learned < found.start, "person {who}: {found:?}");
        }
    }
}
