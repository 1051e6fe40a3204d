//! `likeness up`: a whole fleet in this process, until Ctrl-C.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use clap::Args;
use likeness_coordinator::DEFAULT_PORT;
use serde::Serialize;

use crate::arguments::whole_number;
use crate::commands::fleet::{Fleet, FleetOptions};
use crate::commands::interrupt::interrupted;
use crate::exit::{CliError, Exit};
use crate::output::Voice;

const EXAMPLES: &str = "\
Examples:
  likeness up
  likeness up --data ./fleet --listen 127.0.0.1:7879
  likeness up --model sd21=/models/stable-diffusion-2-1-base

Ctrl-C or SIGTERM stops it: running work is checkpointed and goes on at the next start with the same --data.";

/// Options of `up`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct UpArguments {
    /// Folder for the store, the artifacts and the unpacked model [default: likeness in the user's data folder].
    #[arg(long, env = "LIKENESS_DATA", value_name = "DIR")]
    data: Option<PathBuf>,
    /// Where to listen; port 0 takes any free one.
    #[arg(long, default_value_t = SocketAddr::from((Ipv4Addr::LOCALHOST, DEFAULT_PORT)), value_name = "ADDRESS")]
    listen: SocketAddr,
    /// A model folder in the diffusers layout, instead of the pocket model; the first one is the default.
    #[arg(long = "model", value_parser = named_model, value_name = "NAME=DIR")]
    models: Vec<(String, PathBuf)>,
    /// Most tasks that may be live at once; the engine takes fewer where they fill its passes.
    #[arg(long, default_value_t = 8, allow_hyphen_values = true, value_parser = |text: &str| whole_number(text, 1, 64), value_name = "N")]
    slots: u32,
}

/// What `up` prints once it listens.
#[derive(Debug, Serialize)]
struct Listening {
    address: String,
    data: PathBuf,
}

pub(crate) async fn run(options: &UpArguments, voice: Voice) -> anyhow::Result<Exit> {
    let data = options.data.clone().map_or_else(default_data, Ok)?;
    let mut fleet = Fleet::start(FleetOptions {
        data: data.clone(),
        listen: options.listen,
        models: options.models.clone(),
        slots: options.slots,
    })
    .await?;
    let address = format!("http://{}", fleet.address());
    voice.event(&Listening { address: address.clone(), data: data.clone() }, &address)?;
    voice.say(format_args!("the fleet listens on {address}, its files are in {}", data.display()));
    voice.say(next_commands(options.listen, &address));
    let failed = tokio::select! {
        () = interrupted() => None,
        error = fleet.failed() => Some(error),
    };
    if failed.is_none() {
        voice.say("stopping: running work is checkpointed (once more: stop at once)");
    }
    tokio::select! {
        () = fleet.shut_down() => {}
        () = interrupted() => return Err(CliError::new(Exit::Interrupted, "stopped at once").into()),
    }
    failed.map_or(Ok(Exit::Ok), Err)
}

fn next_commands(listen: SocketAddr, address: &str) -> String {
    let server = if listen.port() == DEFAULT_PORT { String::new() } else { format!(" --server {address}") };
    format!(
        "in another terminal:\n  likeness invert{server} --name ann --consent photos/*.jpg\n  \
         likeness generate{server} --person ann --prompt \"a photo of sks on a beach\" --out ann.png\n  \
         likeness task ls{server}"
    )
}

fn named_model(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((name, folder)) if !name.is_empty() && !folder.is_empty() => {
            let folder = PathBuf::from(folder);
            if folder.join("model_index.json").is_file() {
                Ok((name.to_owned(), folder))
            } else {
                Err(format!("{} is not a model folder: it has no model_index.json", folder.display()))
            }
        }
        _ => Err("write it as NAME=DIR".to_owned()),
    }
}

/// `$XDG_DATA_HOME/likeness`, else `~/.local/share/likeness`.
fn default_data() -> anyhow::Result<PathBuf> {
    let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    absolute("XDG_DATA_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".local/share")))
        .map(|folder| folder.join("likeness"))
        .ok_or_else(|| anyhow::anyhow!("no home folder is set: say where to keep the files with --data DIR"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_are_named_folders() {
        let folder = tempfile::tempdir().unwrap();
        let text = format!("sd={}", folder.path().display());
        assert!(named_model(&text).unwrap_err().contains("model_index.json"));
        std::fs::write(folder.path().join("model_index.json"), "{}").unwrap();
        assert_eq!(named_model(&text).unwrap().0, "sd");
        assert!(named_model("sd").is_err() && named_model("=x").is_err());
    }
}
