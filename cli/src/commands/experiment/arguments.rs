//! Options of `experiment`, and the plan that they make.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use likeness_diffusion::samplers::SamplerKind;
use likeness_shared::limits::{
    DEFAULT_GUIDANCE_SCALE, DEFAULT_PLACEHOLDER, DEFAULT_SAMPLER_STEPS, MAX_INVERSION_STEPS, MAX_PICTURES,
    MAX_SAMPLER_STEPS,
};

use super::cell::{Cell, Method, Origin, Role};
use super::people::Person;
use super::plan::{Plan, ScoredBy};
use crate::arguments::{guidance, whole_number};
use crate::commands::bank::names;
use crate::commands::face_networks::NetworkArguments;
use crate::commands::lines;
use crate::exit::{CliError, Exit};

const HELP: &str = "\
Everybody is learned from every start by every parameterisation with every seed, every prompt is drawn, and the pictures are scored
here, by the judge of the section [faces] and its CLIP model. DIR/results.jsonl has what is done: the same command goes on where an
earlier one ended, whatever ended it. DIR/report.html is the table so far.

Each person's photos are a folder in --people; a folder held_out in it has photos that are kept from the training.
All people shown must have agreed, as `likeness invert --consent` states it.

Examples:
  likeness experiment --consent --people people --prompts prompts.txt --out experiment --config worker.toml
  likeness experiment --consent --people people --prompts prompts.txt --out quick --config worker.toml \\
    --starts face,id --parameterisations none,log_norm:2.0 --seeds 1 --steps 100 --pictures 2 --held-out 2";

/// Options of `experiment`.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct ExperimentArguments {
    /// A folder with a folder of photos for each person.
    #[arg(long, value_name = "DIR")]
    pub(super) people: PathBuf,
    /// A text file with one prompt a line; the placeholder (--placeholder) stands for the person.
    #[arg(long, value_name = "FILE")]
    pub(super) prompts: PathBuf,
    /// Folder of the results and the report; created where it is missing.
    #[arg(long, value_name = "DIR")]
    pub(super) out: PathBuf,
    /// State that everybody shown has agreed. Nothing is sent without it.
    #[arg(long, required = true)]
    consent: bool,
    /// Where the vectors begin: face, rand2, id, id:parity (names of two tokens, as the paper has it), auto.
    #[arg(long, value_delimiter = ',', default_value = "face,rand2,id", value_name = "START,...")]
    starts: Vec<Origin>,
    /// What is optimised: none, log_norm:BASE, sphere.
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "none,log_norm:2.71,log_norm:2.0",
        value_name = "METHOD,..."
    )]
    parameterisations: Vec<Method>,
    /// How often everything is done, each time with other random numbers.
    #[arg(long, allow_hyphen_values = true, default_value_t = 3, value_parser = |text: &str| whole_number(text, 1, 100), value_name = "N")]
    seeds: u32,
    /// Training iterations.
    #[arg(long, allow_hyphen_values = true, default_value_t = 400, value_parser = |text: &str| whole_number(text, 1, MAX_INVERSION_STEPS), value_name = "N")]
    steps: u32,
    /// Photos in one iteration [default: 8, or all where there are fewer].
    #[arg(long, allow_hyphen_values = true, value_parser = |text: &str| whole_number(text, 1, 64), value_name = "N")]
    batch: Option<u32>,
    /// The last photos of each person that are kept from the training, and scored against too.
    #[arg(long, allow_hyphen_values = true, default_value_t = 0, value_parser = |text: &str| whole_number(text, 0, 32), value_name = "N")]
    pub(super) held_out: u32,
    /// Each start untrained, too, as a control.
    #[arg(long)]
    untrained: bool,
    /// A file of names the model knows: a random one for each person and seed, untrained, is a control.
    #[arg(long, value_name = "FILE")]
    random_names: Option<PathBuf>,
    /// The last start by the last parameterisation trained for so long is a control: what training can reach. One seed.
    #[arg(long, allow_hyphen_values = true, value_parser = |text: &str| whole_number(text, 1, MAX_INVERSION_STEPS), value_name = "STEPS")]
    ceiling: Option<u32>,

    #[command(flatten)]
    pub(super) networks: NetworkArguments,

    /// Pictures of each prompt.
    #[arg(long, allow_hyphen_values = true, default_value_t = 16, value_parser = |text: &str| whole_number(text, 1, MAX_PICTURES), value_name = "N", help_heading = "Pictures")]
    pictures: u32,
    /// What stands for the person in prompts.
    #[arg(long, default_value = DEFAULT_PLACEHOLDER, value_name = "TEXT", help_heading = "Pictures")]
    placeholder: String,
    /// The way from noise to picture: ddim, pndm, euler or dpmpp.
    #[arg(long, default_value_t = SamplerKind::Ddim, help_heading = "Pictures")]
    pub(super) sampler: SamplerKind,
    /// Steps of the sampler.
    #[arg(long, allow_hyphen_values = true, default_value_t = DEFAULT_SAMPLER_STEPS, value_parser = |text: &str| whole_number(text, 1, MAX_SAMPLER_STEPS), value_name = "N", help_heading = "Pictures")]
    sampler_steps: u32,
    /// How strongly the prompt rules (classifier-free guidance); 1 = off.
    #[arg(long, allow_hyphen_values = true, default_value_t = DEFAULT_GUIDANCE_SCALE, value_parser = guidance, value_name = "SCALE", help_heading = "Pictures")]
    guidance: f64,

    /// Name of the base model [default: the fleet's].
    #[arg(long, value_name = "NAME")]
    fleet_model: Option<String>,
    /// Inversions that are under way at a time, each with its pictures.
    #[arg(long, allow_hyphen_values = true, default_value_t = 8, value_parser = |text: &str| whole_number(text, 1, 256), value_name = "N")]
    pub(super) at_once: u32,
}

impl ExperimentArguments {
    /// The plan, for these people and scored by these networks.
    pub(super) fn plan(&self, people: &[Person], scored_by: ScoredBy) -> anyhow::Result<Plan> {
        Ok(Plan {
            cells: self.cells()?,
            people: people.iter().map(Person::plan).collect(),
            seeds: self.seeds,
            prompts: self.read_prompts()?,
            placeholder: self.placeholder.clone(),
            pictures: self.pictures,
            batch: self.batch,
            sampler: self.sampler.to_string(),
            sampler_steps: self.sampler_steps,
            guidance: self.guidance,
            model: self.fleet_model.clone().unwrap_or_default(),
            scored_by,
        })
    }

    fn cells(&self) -> anyhow::Result<Vec<Cell>> {
        let mut cells = Vec::new();
        for start in &self.starts {
            for method in &self.parameterisations {
                let cell = Cell {
                    start: start.clone(),
                    method: *method,
                    steps: self.steps,
                    role: Role::Table,
                    seeds: None,
                };
                if cells.contains(&cell) {
                    let message =
                        format!("{cell} is there twice: name every start and parameterisation once");
                    return Err(CliError::new(Exit::Usage, message).into());
                }
                cells.push(cell);
            }
        }
        let last = cells.last().context("there is no start or no parameterisation")?.clone();
        let standing = |start, role| Cell { start, method: Method::None, steps: 1, role, seeds: None };
        if self.untrained {
            cells.extend(self.starts.iter().map(|start| standing(start.clone(), Role::Untrained)));
        }
        if let Some(path) = &self.random_names {
            cells.push(standing(Origin::OneOf(names::read(path)?), Role::RandomName));
        }
        if let Some(steps) = self.ceiling {
            cells.push(Cell { steps, role: Role::Ceiling, seeds: Some(1), ..last });
        }
        Ok(cells)
    }

    fn read_prompts(&self) -> anyhow::Result<Vec<String>> {
        let prompts = lines::read(&self.prompts, "prompt")?;
        if let Some(prompt) = prompts.iter().find(|prompt| !prompt.contains(&self.placeholder)) {
            let message = format!(
                "{}: the prompt {prompt:?} has no {:?} in it, which stands for the person (--placeholder)",
                self.prompts.display(),
                self.placeholder
            );
            return Err(CliError::new(Exit::Usage, message).into());
        }
        Ok(prompts)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        options: ExperimentArguments,
    }

    fn options(more: &[&str]) -> ExperimentArguments {
        let line = ["x", "--consent", "--people", "p", "--prompts", "f", "--out", "o"];
        Line::parse_from(line.iter().chain(more)).options
    }

    #[test]
    fn the_papers_nine_cells_are_the_default() {
        let cells = options(&[]).cells().unwrap();
        let told: Vec<String> = cells.iter().map(ToString::to_string).collect();
        assert_eq!(told.len(), 9);
        assert_eq!((told[0].as_str(), told[8].as_str()), ("face, none", "id, log_norm:2"));
        assert!(cells.iter().all(|cell| cell.steps == 400 && cell.role == Role::Table));
    }

    #[test]
    fn controls_come_after_the_table() {
        let folder = tempfile::tempdir().unwrap();
        let names = folder.path().join("names.txt");
        std::fs::write(&names, "ann lee\nbob ray\n").unwrap();
        let names = names.to_str().unwrap();
        let given = ["--starts", "face,id", "--parameterisations", "none", "--untrained", "--ceiling", "900"];
        let cells = options(&[&given[..], &["--random-names", names]].concat()).cells().unwrap();
        let told: Vec<String> = cells.iter().map(ToString::to_string).collect();
        let expected = [
            "face, none",
            "id, none",
            "face, untrained",
            "id, untrained",
            "a random name, untrained",
            "id, none, 900 steps",
        ];
        assert_eq!(told, expected);
        let twice = options(&["--starts", "face,face"]).cells().unwrap_err().to_string();
        assert!(twice.contains("twice"), "{twice}");
    }

    #[test]
    fn a_prompt_without_the_person_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("prompts.txt");
        let read = |text: &str| {
            std::fs::write(&path, text).unwrap();
            let prompts = path.to_str().unwrap();
            let line = ["x", "--consent", "--people", "p", "--out", "o", "--prompts", prompts];
            Line::parse_from(line).options.read_prompts()
        };
        assert_eq!(
            read("# mine\na photo of sks\n\nsks in snow\n").unwrap(),
            ["a photo of sks", "sks in snow"]
        );
        assert!(read("a photo of a dog").unwrap_err().to_string().contains("stands for the person"));
        assert!(read("\n").unwrap_err().to_string().contains("one prompt a line"));
    }
}
