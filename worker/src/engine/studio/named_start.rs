//! Starts that take names of the bank: `id`, from the name most like the person, and `rand2`, from two names, become tokens here.
//!
//! What is wrong is said without any name: a person's match is nothing for whoever reads the task.

use likeness_faces::bank::{Bank, BankName};
use likeness_faces::recognise::Embedding;

use super::LoadedModel;
use crate::engine::order::Fault;
use crate::inversion::Start;
use crate::inversion::start::{IdNames, pick_pair};

/// The start with names replaced by their tokens. `person` is who the photos show, which `id` alone needs. `rand2` takes names of a bank
/// that belongs to the model, and stays as it is (names of the model folder) where there is none.
pub(super) fn resolved(
    start: &Start,
    model: &LoadedModel,
    bank: Option<&Bank>,
    person: Option<&Embedding>,
) -> Result<Start, Fault> {
    match start {
        Start::Id { names } => {
            let bank = bank.ok_or_else(no_bank)?;
            bank.check_model(&model.digest).map_err(|error| Fault::passing("bad_start", error))?;
            let ids = nearest(bank, model, *names, person.ok_or_else(no_face)?)?;
            Ok(Start::Tokens { kind: start.kind(), ids })
        }
        Start::Rand2 { seed } => match bank.filter(|bank| bank.check_model(&model.digest).is_ok()) {
            None => Ok(start.clone()),
            Some(bank) => {
                let ids = bank.names.iter().filter_map(|name| tokens(model, name));
                let pair = pick_pair(ids, *seed, "the bank of names")
                    .map_err(|error| Fault::lasting("bad_start", error))?;
                Ok(Start::Tokens { kind: start.kind(), ids: pair.to_vec() })
            }
        },
        other => Ok(other.clone()),
    }
}

fn nearest(bank: &Bank, model: &LoadedModel, which: IdNames, person: &Embedding) -> Result<Vec<u32>, Fault> {
    let fits = |name: &BankName| tokens(model, name).is_some_and(|ids| which.takes(ids.len()));
    let found = bank.best(person, 1, fits).map_err(|error| Fault::passing("bad_start", error))?;
    found.first().and_then(|found| tokens(model, found.name)).ok_or_else(|| {
        let message = format!(
            "the worker's bank has no name of {}: build it from more names, or start from \"face\"",
            which.described()
        );
        Fault::lasting("bad_start", message)
    })
}

/// The tokens of a name; `None` where it has none.
pub(super) fn tokens(model: &LoadedModel, name: &BankName) -> Option<Vec<u32>> {
    model.diffusion.tokenizer.token_ids(&name.name).ok()
}

fn no_bank() -> Fault {
    let message = "the start \"id\" needs a bank of names, and this worker has none: build one with `likeness bank build`, name it in \
                   faces.bank of every worker's configuration, or start from \"face\"";
    // Another worker may have one.
    Fault::passing("no_bank", message)
}

fn no_face() -> Fault {
    let message = "no face is seen in any photo, so nobody can be most like it: send photos of the person's face, or start from \"face\"";
    Fault::lasting("no_face", message)
}

#[cfg(test)]
mod tests {
    use super::super::pocket_world::{bank, face, pocket};
    use super::*;
    use crate::engine::Blame;

    #[test]
    fn a_person_starts_at_the_rows_of_the_nearest_name() {
        let model = pocket();
        let tokens = |text: &str| model.diffusion.tokenizer.token_ids(text).unwrap();
        let long = "prestel klebett caire darez raita";
        assert!(tokens(long).len() > 4);
        let names = [
            ("prestel", face(1.0, 0.1)),
            (long, face(1.0, 0.0)),
            ("caire darez", face(1.0, 0.3)),
            ("raita sallham", face(0.0, 1.0)),
        ];
        let bank = bank(&model.digest, &names);
        let start = |names| {
            let start = resolved(&Start::Id { names }, &model, Some(&bank), Some(&face(1.0, 0.0))).unwrap();
            assert_eq!(start.kind(), "id");
            start.vectors(&model.diffusion, &model.folder).unwrap()
        };
        let phrase = |text: &str| {
            Start::Face { phrase: text.to_owned() }.vectors(&model.diffusion, &model.folder).unwrap()
        };
        assert_eq!(start(IdNames::Full), phrase("prestel"), "the nearest one is too long");
        assert_eq!(start(IdNames::Parity), phrase("caire darez"));
        let pair = resolved(&Start::Rand2 { seed: 0 }, &model, Some(&bank), None).unwrap();
        let (one, other) = (tokens("caire darez"), tokens("raita sallham"));
        let pairs = [vec![one[0], other[1]], vec![other[0], one[1]]];
        let Start::Tokens { kind: "rand2", ids } = pair else { panic!("{pair:?}") };
        assert!(pairs.contains(&ids), "{ids:?}");
    }

    #[test]
    fn what_is_missing_is_said_without_a_name() {
        let model = pocket();
        let id = Start::Id { names: IdNames::Parity };
        let fault = |bank: Option<&Bank>, person: Option<&Embedding>| {
            let fault = resolved(&id, &model, bank, person).unwrap_err();
            assert!(!fault.message.contains("caire"), "{fault}");
            (fault.code, fault.blame, fault.message)
        };
        let person = face(1.0, 0.0);
        let (code, blame, message) = fault(None, Some(&person));
        assert_eq!((code.as_str(), blame), ("no_bank", Blame::Chance), "another worker may have one");
        assert!(message.contains("likeness bank build") && message.contains("faces.bank"), "{message}");
        let ours = bank(&model.digest, &[("caire darez", face(1.0, 0.0))]);
        assert_eq!(fault(Some(&ours), None).0, "no_face");
        let other = bank("0f", &[("caire darez", face(1.0, 0.0))]);
        let (_, _, message) = fault(Some(&other), Some(&person));
        assert!(message.contains("(0f)") && message.contains(&model.digest), "{message}");
        let short = bank(&model.digest, &[("caire", face(1.0, 0.0))]);
        let (code, blame, message) = fault(Some(&short), Some(&person));
        assert_eq!((code.as_str(), blame), ("bad_start", Blame::Task));
        assert!(message.contains("no name of two tokens"), "{message}");
        let wide = Embedding::of(&[1.0, 0.0, 0.0]).unwrap();
        assert!(fault(Some(&ours), Some(&wide)).2.contains("3 numbers"));
        let rand2 = Start::Rand2 { seed: 1 };
        assert_eq!(resolved(&rand2, &model, Some(&other), None).unwrap(), rand2, "the model's own names");
    }
}
