//! Which names are kept: those whose portraits show a face, one face, and their own.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::file::{Bank, BankName, DroppedName};
use super::leave_out::{Recognised, recognised};
use super::portraits::NamePortraits;
use super::recipe::Recipe;
use crate::recognise::Embedding;

/// What a name must be like to be kept.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rules {
    /// The share of portraits in which a face is found, at least.
    pub face_rate: f32,
    /// The mean cosine between two portraits, at least: the recogniser's cosine that 95 % of pairs of photos of one person reach. With
    /// reference photos also the cosine between their middle and that of the portraits.
    pub same_person: f32,
}

impl Rules {
    /// A face in three quarters of the portraits.
    pub const FACE_RATE: f32 = 0.75;
}

/// Why a name is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// Faces in too few of its portraits.
    FewFaces,
    /// Its portraits show different people.
    Incoherent,
    /// Another name's portraits are as near to half of its own.
    NotItsOwn,
    /// There are reference photos, and none of this name with a face.
    NoReference,
    /// Its portraits are not like its reference photos.
    UnlikeReference,
}

impl Why {
    /// The reason in words.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::FewFaces => "faces in too few portraits",
            Self::Incoherent => "portraits of different people",
            Self::NotItsOwn => "a face that another name has too",
            Self::NoReference => "no reference photo with a face",
            Self::UnlikeReference => "not like its reference photos",
        }
    }
}

/// Keeps the names that the rules let pass, in their order. `references` are the middles of reference photos by name; nothing = none
/// are asked for. A name that comes twice counts once, the first time.
pub fn judge(
    recipe: Recipe,
    rules: Rules,
    mut portraits: Vec<NamePortraits>,
    references: Option<&BTreeMap<String, Embedding>>,
) -> Bank {
    let mut seen = std::collections::BTreeSet::new();
    portraits.retain(|name| seen.insert(name.name.clone()));
    let recognised = recognised(&portraits);
    let has_references = references.is_some();
    let mut bank = Bank { recipe, rules, has_references, names: Vec::new(), dropped: Vec::new() };
    for (drawn, recognised) in portraits.into_iter().zip(recognised) {
        let facts = Facts::of(&drawn, recognised, references);
        match facts.kept(rules, has_references) {
            Ok(name) => bank.names.push(name),
            Err(dropped) => bank.dropped.push(dropped),
        }
    }
    bank
}

/// All that is asked of one name.
struct Facts<'a> {
    drawn: &'a NamePortraits,
    cohesion: Option<f32>,
    recognised: Option<Recognised>,
    centroid: Option<Embedding>,
    reference: Option<f32>,
}

impl<'a> Facts<'a> {
    fn of(
        drawn: &'a NamePortraits,
        recognised: Option<Recognised>,
        references: Option<&BTreeMap<String, Embedding>>,
    ) -> Self {
        let centroid = drawn.centroid();
        let reference = references.and_then(|references| references.get(&drawn.name));
        let reference = centroid.as_ref().zip(reference).map(|(drawn, photos)| drawn.cosine(photos));
        Self { drawn, cohesion: drawn.cohesion(), recognised, centroid, reference }
    }

    fn kept(self, rules: Rules, has_references: bool) -> Result<BankName, DroppedName> {
        let why = match (&self.centroid, self.cohesion, self.recognised) {
            (Some(centroid), Some(cohesion), Some(recognised))
                if self.drawn.face_rate() >= rules.face_rate =>
            {
                if cohesion < rules.same_person {
                    Why::Incoherent
                } else if recognised.rank > 1 {
                    Why::NotItsOwn
                } else if has_references && self.reference.is_none() {
                    Why::NoReference
                } else if self.reference.is_some_and(|cosine| cosine < rules.same_person) {
                    Why::UnlikeReference
                } else {
                    return Ok(BankName {
                        name: self.drawn.name.clone(),
                        token_ids: self.drawn.token_ids.clone(),
                        face_rate: self.drawn.face_rate(),
                        cohesion,
                        rank: recognised.rank,
                        margin: recognised.margin,
                        reference: self.reference,
                        centroid: centroid.rounded(),
                    });
                }
            }
            _ => Why::FewFaces,
        };
        Err(DroppedName {
            name: self.drawn.name.clone(),
            why,
            face_rate: self.drawn.face_rate(),
            cohesion: self.cohesion,
            rank: self.recognised.map(|recognised| recognised.rank),
            reference: self.reference,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::portraits::tests::portraits;
    use super::super::recipe::tests::recipe;
    use super::*;

    const RULES: Rules = Rules { face_rate: Rules::FACE_RATE, same_person: 0.8 };

    fn names() -> Vec<NamePortraits> {
        vec![
            portraits("good", &[Some(0.0), Some(4.0), Some(2.0), None]),
            portraits("faceless", &[Some(90.0), None, Some(90.0), None]),
            portraits("changing", &[Some(200.0), Some(260.0), Some(200.0), Some(260.0)]),
            portraits("twin", &[Some(120.0), Some(120.0), Some(120.0), Some(120.0)]),
            portraits("other twin", &[Some(120.0), Some(120.0), Some(120.0), Some(120.0)]),
            portraits("empty", &[None, None, None, None]),
            portraits("also good", &[Some(60.0), Some(64.0), Some(62.0), Some(62.0)]),
        ]
    }

    fn whys(bank: &Bank) -> Vec<(&str, Why)> {
        bank.dropped.iter().map(|name| (name.name.as_str(), name.why)).collect()
    }

    #[test]
    fn a_name_is_kept_where_its_portraits_are_of_one_face_of_its_own() {
        let bank = judge(recipe(), RULES, names(), None);
        let kept: Vec<&str> = bank.names.iter().map(|name| name.name.as_str()).collect();
        assert_eq!(kept, ["good", "also good"]);
        let expected = [
            ("faceless", Why::FewFaces),
            ("changing", Why::Incoherent),
            ("twin", Why::NotItsOwn),
            ("other twin", Why::NotItsOwn),
            ("empty", Why::FewFaces),
        ];
        assert_eq!(whys(&bank), expected);
        let good = &bank.names[0];
        assert_eq!((good.face_rate, good.rank, good.reference), (0.75, 1, None));
        assert!(good.cohesion > 0.99 && good.margin > 0.3, "{good:?}");
        assert!((good.centroid.values()[0] - 2.0_f32.to_radians().cos()).abs() < 1e-4);
        // (4 cos 60 + 2 cos 0) / 6
        assert!((bank.dropped[1].cohesion.unwrap() - 2.0 / 3.0).abs() < 1e-6);
        assert_eq!(bank.dropped[2].rank, Some(2));
        assert_eq!(bank.dropped[4].cohesion, None);
    }

    #[test]
    fn with_reference_photos_faces_have_to_match_them() {
        let at =
            |degrees: f32| Embedding::of(&[degrees.to_radians().cos(), degrees.to_radians().sin()]).unwrap();
        let references = BTreeMap::from([("good".to_owned(), at(22.0)), ("twin".to_owned(), at(0.0))]);
        let bank = judge(recipe(), RULES, names(), Some(&references));
        assert!((bank.names[0].reference.unwrap() - 20.0_f32.to_radians().cos()).abs() < 1e-3);
        assert_eq!(bank.names.len(), 1);
        assert!(whys(&bank).contains(&("also good", Why::NoReference)));
        let unlike = BTreeMap::from([("good".to_owned(), at(50.0))]);
        let bank = judge(recipe(), RULES, names(), Some(&unlike));
        assert!(bank.names.is_empty() && bank.has_references);
        assert_eq!(whys(&bank)[0], ("good", Why::UnlikeReference));
    }

    #[test]
    fn a_name_that_comes_twice_counts_once() {
        let twice = vec![names().remove(0), names().remove(0), names().remove(6)];
        assert_eq!(judge(recipe(), RULES, twice, None).names.len(), 2);
    }
}
