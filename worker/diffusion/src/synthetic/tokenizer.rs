//! A vocabulary of CLIP's form and any size: the 256 bytes, the bytes at the end of a word, tokens merged of them, start
//! and end.
//!
//! Merges are pairs of letters first, then of pairs and letters, so that in the published size every word of up to
//! three letters is one token: prompts are about as long as with the real vocabulary.

use std::fmt::Write;

use serde_json::{Map, Value};

/// The bytes twice, start and end.
const LEAST: usize = 2 * 256 + 2;
const END_OF_WORD: &str = "</w>";

/// The two files of a vocabulary.
pub(super) struct Vocabulary {
    /// `vocab.json`.
    pub(super) tokens: String,
    /// `merges.txt`.
    pub(super) merges: String,
}

/// A vocabulary of `size` tokens (at least 514; at most as many as words of four letters give).
pub(super) fn vocabulary(size: usize) -> Vocabulary {
    let bytes = byte_letters();
    let mut tokens: Vec<String> = bytes.iter().map(char::to_string).collect();
    tokens.extend(bytes.iter().map(|letter| format!("{letter}{END_OF_WORD}")));
    let mut merges = "#version: 0.2\n".to_owned();
    for (left, right) in pairs().take(size.saturating_sub(LEAST)) {
        let _ = writeln!(merges, "{left} {right}");
        tokens.push(left + &right);
    }
    tokens.extend(["<|startoftext|>", "<|endoftext|>"].map(str::to_owned));
    let tokens: Map<String, Value> =
        tokens.into_iter().enumerate().map(|(id, token)| (token, Value::from(id))).collect();
    Vocabulary { tokens: Value::Object(tokens).to_string(), merges }
}

/// What is merged with what, in order; both sides of a merge are there before it.
fn pairs() -> impl Iterator<Item = (String, String)> {
    let letters = || ('a'..='z').map(String::from);
    let ends = move || letters().map(|letter| letter + END_OF_WORD);
    let two = move || letters().flat_map(move |a| letters().map(move |b| a.clone() + &b));
    let both = |left: String, right: String| (left, right);
    let of_two = letters().flat_map(move |a| letters().map(move |b| both(a.clone(), b)));
    let words_of_two = letters().flat_map(move |a| ends().map(move |b| both(a.clone(), b)));
    let words_of_three = two().flat_map(move |a| ends().map(move |b| both(a.clone(), b)));
    let of_three = two().flat_map(move |a| letters().map(move |b| both(a.clone(), b)));
    let of_four = two().flat_map(move |a| two().map(move |b| both(a.clone(), b)));
    of_two.chain(words_of_two).chain(words_of_three).chain(of_three).chain(of_four)
}

/// A letter for every byte in the order of ids (GPT-2's `bytes_to_unicode`): printable ones stand for themselves, the others
/// get letters from U+0100 on.
fn byte_letters() -> Vec<char> {
    let printable = || ('!'..='~').chain('¡'..='¬').chain('®'..='ÿ');
    let others = (0..256 - printable().count() as u32).filter_map(|place| char::from_u32(0x100 + place));
    printable().chain(others).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_as_many_as_asked_for_and_all_different() {
        for size in [LEAST, 1000, 49_408] {
            let vocabulary = vocabulary(size);
            let tokens: Map<String, Value> = serde_json::from_str(&vocabulary.tokens).unwrap();
            assert_eq!(tokens.len(), size);
            assert_eq!(vocabulary.merges.lines().count(), 1 + size - LEAST);
            assert_eq!(tokens["!"], 0);
            assert_eq!(tokens["<|endoftext|>"], size - 1);
        }
    }
}
