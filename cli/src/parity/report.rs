//! What was compared, how far it is from the reference, and whether that is near enough.

use std::collections::BTreeMap;

use serde::Serialize;

use super::arithmetic::Arithmetic;
use super::limits::{self, Limit, Limits};
use super::manifest::Manifest;
use super::reference::{Expected, Found};
use super::values::{Array, relative_l2, unequal, unequal_bits};

/// One comparison.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Row {
    /// The group of tensors.
    pub(crate) group: &'static str,
    /// What in it.
    pub(crate) compared: String,
    /// Relative L2, or the count of numbers that differ; absent where nothing could be compared.
    pub(crate) error: Option<f64>,
    /// What the error may be.
    pub(crate) limit: Option<f64>,
    /// Whether it is within the limit.
    pub(crate) ok: bool,
    /// The group's limit, where the reference's own rounding raised it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) usual_limit: Option<f64>,
    /// Why nothing was compared, what the error is, or why the limit is not the usual one.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) note: String,
}

/// All comparisons of a folder.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// The folder's name in its manifest.
    pub(crate) folder: String,
    /// The device that computed.
    pub(crate) device: String,
    /// How its numbers were rounded, which the limits go by.
    pub(crate) arithmetic: Arithmetic,
    /// Whether every comparison is within its limit.
    pub(crate) ok: bool,
    /// The comparisons in the order of the groups.
    pub(crate) rows: Vec<Row>,
    #[serde(skip)]
    group: &'static str,
    /// How far the reference is from itself, by "FILE.TENSOR".
    #[serde(skip)]
    rounding: BTreeMap<String, f64>,
}

impl Report {
    pub(crate) fn new(manifest: &Manifest, device: &str, arithmetic: Arithmetic) -> Self {
        Self {
            folder: manifest.config_name.clone(),
            device: device.to_owned(),
            arithmetic,
            ok: true,
            rows: Vec::new(),
            group: "",
            rounding: manifest.rounding(arithmetic).cloned().unwrap_or_default(),
        }
    }

    /// What errors may be in this arithmetic.
    pub(crate) fn limits(&self) -> &'static Limits {
        self.arithmetic.limits()
    }

    /// The limit of a quantity, "FILE.TENSOR": the usual one, unless the reference's own rounding raises it.
    pub(crate) fn limit(&self, quantity: &str, usual: f64) -> Limit {
        Limit::new(usual, self.rounding.get(quantity).copied(), self.limits().roundings)
    }

    /// The group that the next comparisons belong to.
    pub(crate) fn begin(&mut self, group: &'static str) {
        self.group = group;
    }

    /// A measured error. An error that is not a number is over every limit.
    pub(crate) fn measured(&mut self, compared: impl Into<String>, error: f64, limit: impl Into<Limit>) {
        let limit = limit.into();
        self.push(compared.into(), Some(error), Some(limit), error <= limit.value, limit.note());
    }

    /// Numbers that must be the same; `differ` are not.
    pub(crate) fn exact(&mut self, compared: impl Into<String>, differ: usize) {
        self.measured(compared, differ as f64, limits::EXACT);
    }

    /// Something that the folder says it does not have: no failure.
    pub(crate) fn absent(&mut self, compared: impl Into<String>, why: impl Into<String>) {
        self.push(compared.into(), None, None, true, why.into());
    }

    /// Something that could not be compared though it should.
    pub(crate) fn failed(&mut self, compared: impl Into<String>, why: impl Into<String>) {
        self.push(compared.into(), None, None, false, why.into());
    }

    /// Compares a whole tensor by relative L2. The usual limit is raised where the reference's own rounding is large.
    pub(crate) fn tensor(
        &mut self,
        compared: impl Into<String>,
        found: &Array<f32>,
        expected: Found<f32>,
        usual: f64,
    ) {
        let compared = compared.into();
        let limit = match &expected {
            Found::Here(expected) => self.limit(&expected.quantity, usual),
            Found::LeftOut(_) => usual.into(),
        };
        if let Some((found, expected)) = self.alike(&compared, found, expected) {
            self.measured(compared, relative_l2(&found.values, &expected.values), limit);
        }
    }

    /// Compares floats bit for bit.
    pub(crate) fn bits(&mut self, compared: impl Into<String>, found: &Array<f32>, expected: Found<f32>) {
        let compared = compared.into();
        if let Some((found, expected)) = self.alike(&compared, found, expected) {
            self.exact(compared, unequal_bits(&found.values, &expected.values));
        }
    }

    /// Compares whole numbers.
    pub(crate) fn integers(&mut self, compared: impl Into<String>, found: &Array<i64>, expected: Found<i64>) {
        let compared = compared.into();
        if let Some((found, expected)) = self.alike(&compared, found, expected) {
            self.exact(compared, unequal(&found.values, &expected.values));
        }
    }

    /// The parts of both sides that can be compared: the same elements of the same shape.
    fn alike<T: Copy>(
        &mut self,
        compared: &str,
        found: &Array<T>,
        expected: Found<T>,
    ) -> Option<(Array<T>, Array<T>)> {
        match expected {
            Found::LeftOut(why) => self.absent(compared, why),
            Found::Here(Expected { full_shape, every, array, .. }) => {
                if found.shape != full_shape {
                    self.failed(
                        compared,
                        format!("shape {:?}, the reference has {full_shape:?}", found.shape),
                    );
                    return None;
                }
                match found.strided(&every) {
                    Ok(found) => return Some((found, array)),
                    Err(error) => self.failed(compared, error.to_string()),
                }
            }
        }
        None
    }

    fn push(&mut self, compared: String, error: Option<f64>, limit: Option<Limit>, ok: bool, note: String) {
        self.ok &= ok;
        let usual_limit = limit.filter(|limit| limit.is_raised()).map(|limit| limit.usual);
        let limit = limit.map(|limit| limit.value);
        self.rows.push(Row { group: self.group, compared, error, limit, ok, usual_limit, note });
    }

    /// Comparisons that were made.
    pub(crate) fn made(&self) -> usize {
        self.rows.iter().filter(|row| row.error.is_some()).count()
    }

    /// Rows that are not ok.
    pub(crate) fn fallen_short(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(|row| !row.ok)
    }
}

impl Row {
    /// The row for a table.
    pub(crate) fn cells(&self) -> Vec<String> {
        let exact = self.limit == Some(limits::EXACT);
        let error = match self.error {
            None => "-".to_owned(),
            Some(error) if exact => format!("{error:.0}"),
            Some(error) => format!("{error:.1e}"),
        };
        let limit = match self.limit {
            None => "-".to_owned(),
            Some(_) if exact => "exact".to_owned(),
            Some(limit) if self.usual_limit.is_some() => format!("{limit:.1e}"),
            Some(limit) => format!("{limit:.0e}"),
        };
        let ok = match (self.ok, self.error) {
            (true, Some(_)) => "ok",
            (true, None) => "absent",
            (false, _) => "FAILS",
        };
        vec![self.group.to_owned(), self.compared.clone(), error, limit, ok.to_owned(), self.note.clone()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn empty() -> Report {
        in_arithmetic(Arithmetic::F32)
    }

    fn in_arithmetic(arithmetic: Arithmetic) -> Report {
        let manifest = r#"{"generation": {"prompt": "", "negative": "", "seed": 0, "ti_prompt": "", "train_seed": 0,
            "guidance_scale": 1.0, "height": 8, "width": 8}, "ti": {"K": 1, "batch": 1, "steps": 1, "lr": 0.1,
            "adam": {"beta1": 0.9, "beta2": 0.9, "eps": 1e-8}, "l2_for_none": ""}, "files": {},
            "rounding": {"unet.out": 1e-6}, "coarse": {"bf16": {"unet.out": 0.04}}}"#;
        Report::new(&serde_json::from_str(manifest).unwrap(), "cpu", arithmetic)
    }

    fn here(shape: &[usize], every: &[usize], values: Vec<f32>) -> Found<f32> {
        let array = Array::new(super::super::values::strided_shape(shape, every), values).unwrap();
        Found::Here(Expected {
            full_shape: shape.to_vec(),
            every: every.to_vec(),
            array,
            quantity: "unet.out".to_owned(),
        })
    }

    #[test]
    fn one_row_over_its_limit_fails_the_whole() {
        let mut report = empty();
        report.begin("unet");
        let found = Array::new([2, 2], vec![1.0, 2.0, 3.0, 4.0]).unwrap();
        report.tensor("out", &found, here(&[2, 2], &[2, 1], vec![1.0, 2.0]), 1e-4);
        assert!(report.ok);
        report.tensor("out", &found, here(&[2, 2], &[1, 1], vec![1.0, 2.0, 3.0, 4.1]), 1e-4);
        assert!(!report.ok);
        assert_eq!(report.fallen_short().count(), 1);
        assert_eq!(report.rows[1].cells()[4], "FAILS");
    }

    #[test]
    fn a_raised_limit_says_so_in_the_table_and_in_json() {
        let mut report = empty();
        report.measured("usual", 1.5e-4, 1e-4);
        report.measured("raised", 1.5e-4, Limit::new(1e-4, Some(5e-5), 4.0));
        report.measured("still over", 2.1e-4, Limit::new(1e-4, Some(5e-5), 4.0));
        assert_eq!(report.rows.iter().map(|row| row.ok).collect::<Vec<_>>(), [false, true, false]);
        let told = "limit is 4 x the reference's own rounding, usually 1e-4";
        assert_eq!(report.rows[1].cells()[3..], ["2.0e-4", "ok", told]);
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["rows"][1]["note"], told);
        assert_eq!(json["rows"][1]["usual_limit"], 1e-4);
        assert!(json["rows"][0].get("usual_limit").is_none() && json["rows"][0].get("note").is_none());
    }

    #[test]
    fn each_arithmetic_has_limits_of_its_own_and_the_references_rounding_in_it() {
        let found = Array::new([1], vec![1.05]).unwrap();
        for (arithmetic, limit) in
            [(Arithmetic::F32, 1e-4), (Arithmetic::Tf32, 1e-3), (Arithmetic::Bf16, 3.0 * 0.04)]
        {
            let mut report = in_arithmetic(arithmetic);
            let usual = report.limits().pass;
            report.tensor("out", &found, here(&[1], &[1], vec![1.0]), usual);
            assert!((report.rows[0].limit.unwrap() - limit).abs() < 1e-12, "{:?}", report.rows[0]);
            assert_eq!(report.ok, arithmetic == Arithmetic::Bf16);
        }
    }

    #[test]
    fn a_wrong_shape_or_no_number_fails() {
        let mut report = empty();
        let found = Array::new([2], vec![f32::NAN, 0.0]).unwrap();
        report.tensor("nan", &found, here(&[2], &[1], vec![0.0, 0.0]), 1e-4);
        report.tensor("shape", &found, here(&[3], &[1], vec![0.0; 3]), 1e-4);
        report.tensor("absent", &found, Found::LeftOut("left out".to_owned()), 1e-4);
        assert_eq!(report.rows.iter().map(|row| row.ok).collect::<Vec<_>>(), [false, false, true]);
    }
}
