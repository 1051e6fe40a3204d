//! `likeness up`: a whole fleet in this process, until Ctrl-C.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use clap::Args;
use likeness_coordinator::DEFAULT_PORT;
use likeness_faces::config::FacesConfig;
use likeness_worker::WorkerConfig;
use serde::Serialize;

use crate::arguments::whole_number;
use crate::commands::face_networks::FaceNetworks;
use crate::commands::fleet::{Fleet, FleetOptions};
use crate::commands::interrupt::interrupted;
use crate::commands::models::{self, CacheArguments};
use crate::exit::{CliError, Exit};
use crate::output::Voice;

const EXAMPLES: &str = "\
Examples:
  likeness up
  likeness up --data ./fleet --listen 127.0.0.1:7879
  likeness up --model sd21=/models/stable-diffusion-2-1-base
  likeness up --model sd21=stabilityai/stable-diffusion-2-1-base
  likeness up --model sd21=/models/stable-diffusion-2-1-base --detector yunet.onnx --recogniser sface.onnx
  likeness up --model sd21=/models/stable-diffusion-2-1-base --faces worker.toml

With networks for faces, photos that nobody can be learned from are dropped, and `likeness photos check --by-server` says which.
The pocket model brings its own.
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
    /// A model instead of the pocket model: a folder in the diffusers layout, or owner/name@revision of a model hub. The first one
    /// is the default.
    #[arg(long = "model", value_parser = named_model, value_name = "NAME=DIR|OWNER/NAME")]
    models: Vec<(String, String)>,
    #[command(flatten)]
    cache: CacheArguments,
    /// A file whose section [faces], as a worker's, names networks and a bank [default: the pocket model's own, with that model].
    #[arg(long, value_name = "FILE", help_heading = "Networks for faces")]
    faces: Option<PathBuf>,
    #[command(flatten)]
    networks: FaceNetworks,
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
    let mut models = Vec::with_capacity(options.models.len());
    for (name, text) in &options.models {
        models.push((name.clone(), models::bring_here(text, &options.cache, voice).await?));
    }
    let configured = match &options.faces {
        Some(path) => WorkerConfig::read(path)?.faces,
        None => FacesConfig::default(),
    };
    let faces = options.networks.over(configured);
    faces.validate()?;
    let mut fleet = Fleet::start(FleetOptions {
        data: data.clone(),
        listen: options.listen,
        models,
        slots: options.slots,
        faces,
    })
    .await?;
    let address = format!("http://{}", fleet.address());
    voice.event(&Listening { address: address.clone(), data: data.clone() }, &address)?;
    voice.say(format_args!("the fleet listens on {address}, its files are in {}", data.display()));
    if options.models.is_empty() {
        voice.say("the pocket model knows drawn faces alone, such as those in models/pocket/people; others are refused");
    }
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

/// Whether a hub has it is seen later; a folder has to be there.
fn named_model(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, source)) if !name.is_empty() && !source.is_empty() => {
            likeness_hub::local(&source.into()).map_err(|error| error.to_string())?;
            Ok((name.to_owned(), source.to_owned()))
        }
        _ => Err("write it as NAME=DIR or NAME=owner/name".to_owned()),
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
    fn models_have_names_and_folders_must_be_there() {
        let folder = tempfile::tempdir().unwrap();
        let text = format!("sd={}", folder.path().display());
        assert!(named_model(&text).unwrap_err().contains("model_index.json"));
        std::fs::write(folder.path().join("model_index.json"), "{}").unwrap();
        assert_eq!(named_model(&text).unwrap().0, "sd");
        assert_eq!(named_model("sd=acme/sd@v1").unwrap(), ("sd".to_owned(), "acme/sd@v1".to_owned()));
        assert!(named_model("sd=/no/such").unwrap_err().contains("/no/such"));
        assert!(named_model("sd").is_err() && named_model("=x").is_err());
    }
}
