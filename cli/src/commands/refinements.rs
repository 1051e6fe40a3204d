//! The options of `invert` that the paper does not have: all off unless they are asked for.

use clap::{Args, ValueEnum};
use likeness_shared::proto::{EarlyStop, InversionSpec};

use crate::arguments::{number, whole_number};

/// Options beyond the paper.
#[derive(Debug, Args)]
#[command(next_help_heading = "Beyond the paper (off unless given)")]
pub(crate) struct Refinements {
    /// How time steps are drawn: one from each of as many equal parts as there are rows, or each by itself
    /// [default: stratified].
    #[arg(long, value_enum)]
    timesteps: Option<Timesteps>,
    /// Min-SNR: let rows of little noise count less; 5 is usual.
    #[arg(long, allow_hyphen_values = true, value_parser = |text: &str| number(text, "above 0 and at most 1000", |g| g > 0.0 && g <= 1000.0), value_name = "GAMMA")]
    min_snr_gamma: Option<f64>,
    /// Stop once the loss on a fixed batch has settled, after 100 iterations at the earliest.
    #[arg(long)]
    early_stop: bool,
    /// How many of the last losses an early stop looks at, 10 to 500 [default: 80].
    #[arg(long, requires = "early_stop", allow_hyphen_values = true, value_parser = |text: &str| whole_number(text, 10, 500), value_name = "N")]
    stop_window: Option<u32>,
    /// Settled = their variance is below this share of the variance of all losses [default: 0.15].
    #[arg(long, requires = "early_stop", allow_hyphen_values = true, value_parser = |text: &str| number(text, "above 0 and at most 1", |t| t > 0.0 && t <= 1.0), value_name = "SHARE")]
    stop_threshold: Option<f64>,
    /// Every N iterations the vectors are a candidate; end with the candidate of the lowest loss on a fixed batch.
    #[arg(long, allow_hyphen_values = true, value_parser = |text: &str| whole_number(text, 1, 10_000), value_name = "N")]
    keep_best: Option<u32>,
    /// What the picture outside the face's ellipse counts in the loss, where the face counts 1; 0.1 to 0.3 is usual.
    #[arg(long, allow_hyphen_values = true, value_parser = |text: &str| number(text, "above 0 and at most 1", |w| w > 0.0 && w <= 1.0), value_name = "WEIGHT")]
    background_weight: Option<f64>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Timesteps {
    Stratified,
    Uniform,
}

impl Refinements {
    /// The spec with these options in it.
    pub(crate) fn write_into(&self, spec: InversionSpec) -> InversionSpec {
        let early_stop = EarlyStop { window: self.stop_window, threshold: self.stop_threshold };
        InversionSpec {
            timesteps: match self.timesteps {
                None => String::new(),
                Some(Timesteps::Stratified) => "stratified".to_owned(),
                Some(Timesteps::Uniform) => "uniform".to_owned(),
            },
            min_snr_gamma: self.min_snr_gamma,
            early_stop: self.early_stop.then_some(early_stop),
            keep_best: self.keep_best,
            background_weight: self.background_weight,
            ..spec
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Alone {
        #[command(flatten)]
        refinements: Refinements,
    }

    fn spec(arguments: &[&str]) -> Result<InversionSpec, clap::Error> {
        let alone = Alone::try_parse_from(std::iter::once(&"invert").chain(arguments))?;
        Ok(alone.refinements.write_into(InversionSpec::default()))
    }

    #[test]
    fn nothing_is_asked_for_unless_it_is_given() {
        assert_eq!(spec(&[]).unwrap(), InversionSpec::default());
    }

    #[test]
    fn what_is_given_arrives() {
        let given = spec(&[
            "--timesteps=uniform",
            "--min-snr-gamma=5",
            "--early-stop",
            "--stop-window=60",
            "--keep-best=25",
            "--background-weight=0.2",
        ]);
        let expected = InversionSpec {
            timesteps: "uniform".to_owned(),
            min_snr_gamma: Some(5.0),
            early_stop: Some(EarlyStop { window: Some(60), threshold: None }),
            keep_best: Some(25),
            background_weight: Some(0.2),
            ..InversionSpec::default()
        };
        assert_eq!(given.unwrap(), expected);
    }

    #[test]
    fn numbers_out_of_range_and_halves_of_an_early_stop_are_refused() {
        for wrong in [
            "--min-snr-gamma=0",
            "--stop-window=60",
            "--stop-threshold=0.1",
            "--keep-best=0",
            "--background-weight=0",
            "--background-weight=1.5",
            "--timesteps=sorted",
        ] {
            assert!(spec(&[wrong]).is_err(), "{wrong} was taken");
        }
    }
}
