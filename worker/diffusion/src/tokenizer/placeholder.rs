//! Placeholders: texts in a prompt that stand for learned vectors.

use std::ops::Range;

use super::TokenizerError;

/// A text that stands for learned vectors: `<face>` with 2 vectors takes two ids beyond the vocabulary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placeholder {
    /// The text, matched case-sensitively.
    pub text: String,
    /// How many vectors it stands for, at least 1.
    pub vectors: usize,
}

/// A part of a prompt.
pub(super) enum Piece<'a> {
    /// Words; `begins` is the byte of the prompt where they begin.
    Text { begins: usize, text: &'a str },
    /// A placeholder, with the ids of its vectors.
    Learned { begins: usize, ids: Range<u32> },
}

/// Cuts `prompt` at the placeholders, whose ids count from `first_id`.
pub(super) fn split<'a>(
    prompt: &'a str,
    placeholders: &[Placeholder],
    first_id: u32,
) -> Result<Vec<Piece<'a>>, TokenizerError> {
    let known = with_ids(placeholders, first_id)?;
    let mut pieces = Vec::new();
    let mut text_begins = 0;
    let mut at = 0;
    while let Some(next) = prompt[at..].chars().next() {
        match known.iter().find(|(text, _)| prompt[at..].starts_with(text)) {
            Some((text, ids)) => {
                pieces.push(Piece::Text { begins: text_begins, text: &prompt[text_begins..at] });
                pieces.push(Piece::Learned { begins: at, ids: ids.clone() });
                at += text.len();
                text_begins = at;
            }
            None => at += next.len_utf8(),
        }
    }
    pieces.push(Piece::Text { begins: text_begins, text: &prompt[text_begins..] });
    Ok(pieces)
}

/// The placeholders' texts and ids, the longest text first.
fn with_ids(placeholders: &[Placeholder], first_id: u32) -> Result<Vec<(&str, Range<u32>)>, TokenizerError> {
    let mut known: Vec<(&str, Range<u32>)> = Vec::with_capacity(placeholders.len());
    let mut next_id = first_id;
    for Placeholder { text, vectors } in placeholders {
        let end = u32::try_from(*vectors).ok().and_then(|vectors| next_id.checked_add(vectors));
        let Some(end) = end.filter(|&end| end > next_id && !text.trim().is_empty()) else {
            return Err(TokenizerError::Placeholder(text.clone()));
        };
        if known.iter().any(|(other, _)| other == text) {
            return Err(TokenizerError::DuplicatePlaceholder(text.clone()));
        }
        known.push((text, next_id..end));
        next_id = end;
    }
    known.sort_by_key(|(text, _)| std::cmp::Reverse(text.len()));
    Ok(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placeholder(text: &str, vectors: usize) -> Placeholder {
        Placeholder { text: text.to_owned(), vectors }
    }

    /// Texts and first ids, in order.
    fn shape(prompt: &str, placeholders: &[Placeholder]) -> Vec<String> {
        let pieces = split(prompt, placeholders, 100).unwrap();
        let name = |piece| match piece {
            Piece::Text { text, .. } => text.to_owned(),
            Piece::Learned { ids, begins } => format!("{}..{} at {begins}", ids.start, ids.end),
        };
        pieces.into_iter().map(name).filter(|name| !name.is_empty()).collect()
    }

    #[test]
    fn ids_follow_the_order_of_the_list() {
        let both = [placeholder("ann", 2), placeholder("bob", 1)];
        assert_eq!(shape("bob é ann", &both), ["102..103 at 0", " é ", "100..102 at 7"]);
    }

    #[test]
    fn the_longest_placeholder_wins() {
        let nested = [placeholder("sks", 1), placeholder("sks2", 1)];
        assert_eq!(shape("sks2sks", &nested), ["101..102 at 0", "100..101 at 4"]);
    }

    #[test]
    fn case_matters() {
        assert_eq!(shape("a <FACE>", &[placeholder("<face>", 1)]), ["a <FACE>"]);
    }

    #[test]
    fn blank_empty_and_double_placeholders_are_refused() {
        for wrong in [vec![placeholder(" ", 1)], vec![placeholder("a", 0)], vec![placeholder("a", 1); 2]] {
            assert!(split("a", &wrong, 100).is_err());
        }
        assert!(split("a", &[placeholder("a", 2)], u32::MAX - 1).is_err());
    }
}
