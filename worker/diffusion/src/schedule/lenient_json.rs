//! Python's `json` writes `Infinity`, `-Infinity` and `NaN` for numbers that JSON does not have, and
//! scheduler files do hold them (`lambda_min_clipped`). This turns them into `null` before parsing.

const WORDS: [&str; 3] = ["-Infinity", "Infinity", "NaN"];

/// The text with Python's non-finite numbers replaced by `null`; strings are left alone.
pub(super) fn without_non_finite(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    let mut in_string = false;
    while let Some(first) = rest.chars().next() {
        if !in_string && let Some(after) = WORDS.iter().find_map(|word| rest.strip_prefix(word)) {
            clean.push_str("null");
            rest = after;
            continue;
        }
        let mut taken = first.len_utf8();
        match first {
            '"' => in_string = !in_string,
            '\\' if in_string => taken += rest[taken..].chars().next().map_or(0, char::len_utf8),
            _ => {}
        }
        clean.push_str(&rest[..taken]);
        rest = &rest[taken..];
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_bare_words_are_replaced() {
        let text = r#"{"a": -Infinity, "b": [NaN, Infinity], "c": "NaN \" Infinity", "d": 1}"#;
        let clean = r#"{"a": null, "b": [null, null], "c": "NaN \" Infinity", "d": 1}"#;
        assert_eq!(without_non_finite(text), clean);
    }
}
