//! Who of the bank is most like a person.

use super::error::BankError;
use super::file::{Bank, BankName};
use crate::recognise::Embedding;

/// A name of the bank and how like the person its face is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Match<'b> {
    /// The name. Never shown to users.
    pub name: &'b BankName,
    /// Cosine between the person and the middle of the name's portraits, -1..=1.
    pub cosine: f32,
}

impl Bank {
    /// The `most` names nearest to a person (the mean of the embeddings of the person's photos), the nearest first, of equally near
    /// ones the earlier; only names that `may_be`. Fewer where there are fewer.
    ///
    /// # Errors
    /// [`BankError::Width`] where the embedding is of another recogniser.
    pub fn best(
        &self,
        person: &Embedding,
        most: usize,
        may_be: impl Fn(&BankName) -> bool,
    ) -> Result<Vec<Match<'_>>, BankError> {
        let found = person.values().len();
        if let Some(expected) = self.width().filter(|width| *width != found) {
            return Err(BankError::Width { expected, found });
        }
        let names = self.names.iter().filter(|name| may_be(name));
        let mut matches: Vec<Match<'_>> =
            names.map(|name| Match { name, cosine: person.cosine(&name.centroid) }).collect();
        matches.sort_by(|a, b| b.cosine.total_cmp(&a.cosine));
        matches.truncate(most);
        Ok(matches)
    }
}

#[cfg(test)]
mod tests {
    use super::super::file::tests::bank;
    use super::*;

    #[test]
    fn the_nearest_come_first() {
        let bank = bank(&[("east", 0.0), ("north", 90.0), ("north east", 45.0), ("also north", 90.0)]);
        let person = Embedding::of(&[1.0, 3.0]).unwrap();
        let matches = bank.best(&person, 3, |_| true).unwrap();
        let names: Vec<&str> = matches.iter().map(|found| found.name.name.as_str()).collect();
        assert_eq!(names, ["north", "also north", "north east"]);
        assert!((matches[0].cosine - 3.0 / 10.0_f32.sqrt()).abs() < 1e-6);
        let only = bank.best(&person, 9, |name| name.name.starts_with("east")).unwrap();
        assert_eq!((only.len(), only[0].name.name.as_str()), (1, "east"));
    }

    #[test]
    fn an_embedding_of_another_network_is_refused() {
        let wide = Embedding::of(&[1.0, 0.0, 0.0]).unwrap();
        let said = bank(&[("east", 0.0)]).best(&wide, 1, |_| true).unwrap_err().to_string();
        assert!(said.contains("3 numbers") && said.contains("recogniser"), "{said}");
        assert!(bank(&[]).best(&wide, 1, |_| true).unwrap().is_empty());
    }
}
