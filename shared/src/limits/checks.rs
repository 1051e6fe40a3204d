//! Collects violations, so that a request is answered with all of them.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

use crate::errors::{FieldViolation, ServiceError};

/// All offending fields of a request.
pub type Violations = Vec<FieldViolation>;

/// The violations found so far.
#[derive(Debug, Default)]
pub struct Checks {
    violations: Violations,
}

impl Checks {
    /// None so far.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes a violation of `field`.
    pub fn refuse(&mut self, field: impl Into<String>, description: impl Into<String>) {
        self.violations.push(FieldViolation::new(field, description));
    }

    /// Notes a violation of `field` unless `holds`.
    pub fn require(&mut self, holds: bool, field: &str, description: impl FnOnce() -> String) {
        if !holds {
            self.refuse(field, description());
        }
    }

    /// Reads an id or a name; `None` is noted as a violation.
    pub fn parse<T: FromStr<Err: Display>>(&mut self, field: &str, text: &str) -> Option<T> {
        match text.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                self.refuse(field, error.to_string());
                None
            }
        }
    }

    /// A whole number within `range`.
    pub fn whole(&mut self, field: &str, value: u32, range: RangeInclusive<u32>) {
        let (least, most) = (range.start(), range.end());
        self.require(range.contains(&value), field, || format!("must be {least} to {most}, not {value}"));
    }

    /// A finite number above `least` and up to `most`.
    pub fn above(&mut self, field: &str, value: f64, least: f64, most: f64) {
        let holds = value.is_finite() && value > least && value <= most;
        self.require(holds, field, || format!("must be above {least} and at most {most}, not {value}"));
    }

    /// A finite number from `least` to `most`.
    pub fn within(&mut self, field: &str, value: f64, least: f64, most: f64) {
        let holds = value.is_finite() && value >= least && value <= most;
        self.require(holds, field, || format!("must be {least} to {most}, not {value}"));
    }

    /// At most `most` bytes, with no control character but line breaks.
    pub fn prose(&mut self, field: &str, text: &str, most: usize) {
        self.require(text.len() <= most, field, || {
            format!("must be at most {most} bytes, not {}", text.len())
        });
        let clean = text.chars().all(|c| !c.is_control() || c == '\n' || c == '\t');
        self.require(clean, field, || "must hold no control characters".to_owned());
    }

    /// The text that stands for a person: one word of 1 to 64 bytes.
    pub fn placeholder(&mut self, field: &str, text: &str) {
        let one_word =
            (1..=64).contains(&text.len()) && text.chars().all(|c| !c.is_whitespace() && !c.is_control());
        self.require(one_word, field, || {
            format!("must be one word of 1 to 64 bytes, such as \"sks\", not {text:?}")
        });
    }

    /// The name of a model: empty, or up to 128 visible ASCII characters.
    pub fn model(&mut self, field: &str, text: &str) {
        let acceptable = text.len() <= 128 && text.chars().all(|c| c.is_ascii_graphic());
        self.require(acceptable, field, || "must be at most 128 visible ASCII characters".to_owned());
    }

    /// `Ok` where nothing was refused.
    pub fn finish(self) -> Result<(), ServiceError> {
        if self.violations.is_empty() { Ok(()) } else { Err(ServiceError::InvalidArgument(self.violations)) }
    }

    /// The violations themselves.
    #[must_use]
    pub fn into_violations(self) -> Violations {
        self.violations
    }
}
