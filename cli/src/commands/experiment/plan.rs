//! What an experiment is made of: cells, people, seeds, prompts. Two plans that are equal give the same pictures on one fleet.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::cell::Cell;

/// All that decides the outcome.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Plan {
    /// Every combination of start and parameterisation, then the controls.
    pub(super) cells: Vec<Cell>,
    /// Who is learned.
    pub(super) people: Vec<PersonPlan>,
    /// Seed s of this many trains with s, and draws with s too.
    pub(super) seeds: u32,
    /// What is drawn, with [`Plan::placeholder`] for the person.
    pub(super) prompts: Vec<String>,
    /// What stands for the person in prompts.
    pub(super) placeholder: String,
    /// Pictures of each prompt.
    pub(super) pictures: u32,
    /// Photos in one iteration; nothing = the method's.
    pub(super) batch: Option<u32>,
    /// The sampler's name.
    pub(super) sampler: String,
    /// The sampler's steps.
    pub(super) sampler_steps: u32,
    /// Classifier-free guidance.
    pub(super) guidance: f64,
    /// Name of the fleet's model; empty = its default.
    pub(super) model: String,
    /// What scores: sha256 of detector and judge, and the CLIP folder's, lower-case hex; empty = no CLIP.
    pub(super) scored_by: ScoredBy,
}

/// A person's photos.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct PersonPlan {
    /// The folder's name.
    pub(super) name: String,
    /// sha256 of each photo that is learned from.
    pub(super) photos: Vec<String>,
    /// sha256 of each photo that is kept from the training.
    pub(super) held_out: Vec<String>,
}

/// The networks that score.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct ScoredBy {
    /// Of the detector's file.
    pub(super) detector: String,
    /// Of the judge's file.
    pub(super) judge: String,
    /// Of the CLIP model's weights; empty = there is none.
    pub(super) clip: String,
}

/// One inversion with its pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(super) struct UnitKey {
    /// Which cell of [`Plan::cells`].
    pub(super) cell: usize,
    /// Who of [`Plan::people`].
    pub(super) person: usize,
    /// Which seed.
    pub(super) seed: u32,
}

impl fmt::Display for UnitKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "c{}-p{}-s{}", self.cell, self.person, self.seed)
    }
}

impl Plan {
    /// All inversions, so that an experiment that is stopped early has a bit of every cell: seed by seed, person by person.
    pub(super) fn units(&self) -> Vec<UnitKey> {
        let mut units = Vec::new();
        for seed in 0..self.seeds {
            for person in 0..self.people.len() {
                for (cell, told) in self.cells.iter().enumerate() {
                    if seed < told.seeds.unwrap_or(self.seeds) {
                        units.push(UnitKey { cell, person, seed });
                    }
                }
            }
        }
        units
    }

    /// Seed of a prompt's first picture; the next ones count on from it. All cells and people have the same noise.
    pub(super) fn first_seed(key: UnitKey, prompt: usize) -> u64 {
        u64::from(key.seed) * 1_000_000 + prompt as u64 * 1_000
    }

    /// All that differs, in words.
    pub(super) fn differences(&self, given: &Self) -> Vec<String> {
        let mut differs = Vec::new();
        let mut note = |what: &str, is_same: bool| {
            if !is_same {
                differs.push(what.to_owned());
            }
        };
        note("the starts, parameterisations, steps or controls", self.cells == given.cells);
        note("the people or their photos", self.people == given.people);
        note("the number of seeds", self.seeds == given.seeds);
        note("the prompts", self.prompts == given.prompts);
        note("the placeholder", self.placeholder == given.placeholder);
        note("the number of pictures", self.pictures == given.pictures);
        note("the batch size", self.batch == given.batch);
        let sampling = |plan: &Self| (plan.sampler.clone(), plan.sampler_steps, plan.guidance);
        note("the sampler, its steps or the guidance", sampling(self) == sampling(given));
        note("the model", self.model == given.model);
        note("the networks that score", self.scored_by == given.scored_by);
        differs
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::cell::{Cell, Method, Origin, Role};
    use super::*;

    /// Two starts by two methods and a control of one seed, for three people.
    pub(in super::super) fn plan() -> Plan {
        let cell = |start: Origin, method| Cell { start, method, steps: 400, role: Role::Table, seeds: None };
        let mut cells = Vec::new();
        for start in [Origin::Face, Origin::Id] {
            for method in [Method::None, Method::LogNorm(2.71)] {
                cells.push(cell(start.clone(), method));
            }
        }
        cells.push(Cell {
            role: Role::Untrained,
            steps: 1,
            seeds: Some(1),
            ..cell(Origin::Face, Method::None)
        });
        let person = |name: &str| PersonPlan {
            name: name.to_owned(),
            photos: vec!["a".into(), "b".into(), "c".into()],
            held_out: vec!["d".into()],
        };
        Plan {
            cells,
            people: ["ann", "bob", "cem"].map(person).to_vec(),
            seeds: 2,
            prompts: vec!["a photo of sks".into(), "sks in the snow".into()],
            placeholder: "sks".into(),
            pictures: 2,
            batch: None,
            sampler: "ddim".into(),
            sampler_steps: 50,
            guidance: 7.5,
            model: String::new(),
            scored_by: ScoredBy::default(),
        }
    }

    #[test]
    fn the_first_units_are_one_of_every_cell() {
        let units = plan().units();
        assert_eq!(units.len(), 3 * (2 * 4 + 1));
        let first: Vec<usize> = units.iter().take(5).map(|unit| unit.cell).collect();
        assert_eq!(first, [0, 1, 2, 3, 4]);
        assert!(units.iter().all(|unit| unit.cell != 4 || unit.seed == 0), "the control has one seed");
    }

    #[test]
    fn what_differs_is_named() {
        let one = plan();
        assert!(one.differences(&one).is_empty());
        let other = Plan { guidance: 1.0, seeds: 3, ..one.clone() };
        assert_eq!(
            one.differences(&other),
            ["the number of seeds", "the sampler, its steps or the guidance"]
        );
    }
}
