//! Spans of time on the command line: when a task may start, and how old it is.

use std::time::Duration;

use likeness_shared::proto::Timing;

/// Parses a span such as `90s`, `15m`, `2h 30m` or `7days`.
pub(crate) fn span(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text)
        .map_err(|_| "must be a span of time such as 90s, 15m, 2h or 7days".to_owned())
}

/// A span as the protocol has it.
pub(crate) fn wire(span: Duration) -> Option<prost_types::Duration> {
    prost_types::Duration::try_from(span).ok()
}

/// When a task may start; `None` = at once, however long it waits for a worker.
pub(crate) fn timing(delay: Option<Duration>, start_within: Option<Duration>) -> Option<Timing> {
    (delay.is_some() || start_within.is_some())
        .then(|| Timing { delay: delay.and_then(wire), start_within: start_within.and_then(wire) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_written_as_people_do() {
        assert_eq!(span("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(span("2h 30m"), Ok(Duration::from_secs(9000)));
        assert_eq!(span("7days"), Ok(Duration::from_secs(7 * 24 * 3600)));
        for bad in ["", "soon", "-5s", "90"] {
            assert!(span(bad).unwrap_err().contains("such as 90s"), "{bad:?}");
        }
        assert_eq!(timing(None, None), None);
        assert_eq!(timing(Some(Duration::from_secs(5)), None).unwrap().delay.unwrap().seconds, 5);
    }
}
