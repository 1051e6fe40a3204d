//! `likeness people ls|get|import|export|delete`.

use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, Subcommand};
use likeness_shared::client::Client;
use likeness_shared::ids::{Digest, PersonId, RequestId};
use likeness_shared::limits::{DEFAULT_PLACEHOLDER, MAX_ARTIFACT_BYTES};
use likeness_shared::proto::{GetPersonRequest, ImportPersonRequest, ListPeopleRequest, Person};
use serde::Serialize;

use crate::arguments::Global;
use crate::commands::person_files::{self, FileFormat};
use crate::exit::Exit;
use crate::output::Voice;
use crate::views::{self, PersonView};
use crate::whole_file;

const PAGE: u32 = 100;

/// Subcommands of `people`.
#[derive(Debug, Subcommand)]
pub(crate) enum PeopleCommand {
    /// List the people of a user.
    #[command(after_help = "Example:\n  likeness people ls --user ann -o json")]
    Ls,
    /// Show one person, with the quality report where there is one.
    #[command(visible_alias = "show", after_help = "Example:\n  likeness people get ann")]
    Get(PersonName),
    /// Bring in a learned-person file: diffusers, kohya or A1111, told by its content.
    #[command(after_help = "Example:\n  likeness people import ann.pt --name ann --placeholder sks")]
    Import(ImportArguments),
    /// Write a person's file.
    #[command(after_help = "Example:\n  likeness people export ann --format a1111 --out ann.pt")]
    Export(ExportArguments),
    /// Forget a person.
    #[command(after_help = "Example:\n  likeness people delete ann")]
    Delete(PersonName),
}

/// A person by name or id.
#[derive(Debug, Args)]
pub(crate) struct PersonName {
    /// Name within the user's collection, or id.
    #[arg(value_name = "PERSON")]
    person: String,
}

/// Options of `people import`.
#[derive(Debug, Args)]
pub(crate) struct ImportArguments {
    /// The file.
    file: PathBuf,
    /// Name of the person in your collection.
    #[arg(long)]
    name: String,
    /// The text that stands for the person in prompts [default: the file's own, else sks].
    #[arg(long, value_name = "TEXT")]
    placeholder: Option<String>,
}

/// Options of `people export`.
#[derive(Debug, Args)]
pub(crate) struct ExportArguments {
    /// Name within the user's collection, or id.
    #[arg(value_name = "PERSON")]
    person: String,
    /// Whose form of file.
    #[arg(long, value_enum, default_value_t = FileFormat::Diffusers)]
    format: FileFormat,
    /// The file to write [default: PERSON.safetensors or PERSON.pt here].
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// What `people export` prints.
#[derive(Debug, Serialize)]
struct Exported {
    person: PersonView,
    path: PathBuf,
}

pub(crate) async fn run(command: &PeopleCommand, global: &Global, voice: Voice) -> anyhow::Result<Exit> {
    match command {
        PeopleCommand::Ls => list(global, voice).await?,
        PeopleCommand::Get(who) => {
            let client = Client::connect(&global.server).await?;
            show(&find(&client, global, &who.person).await?, voice)?;
        }
        PeopleCommand::Import(options) => import(options, global, voice).await?,
        PeopleCommand::Export(options) => export(options, global, voice).await?,
        PeopleCommand::Delete(who) => {
            let client = Client::connect(&global.server).await?;
            let person = find(&client, global, &who.person).await?;
            client
                .delete_person(person.id.parse().context("the server's answer holds no person id")?)
                .await?;
            voice.say(format_args!("{} is forgotten", person.name));
        }
    }
    Ok(Exit::Ok)
}

/// Looks a person up by name, or by id where the text is one.
pub(crate) async fn find(client: &Client, global: &Global, person: &str) -> anyhow::Result<Person> {
    let is_id = person.parse::<PersonId>().is_ok();
    let request = GetPersonRequest {
        id: if is_id { person.to_owned() } else { String::new() },
        tenant: global.tenant.clone(),
        user: global.user.clone(),
        name: if is_id { String::new() } else { person.to_owned() },
    };
    Ok(client.get_person(request).await?)
}

async fn list(global: &Global, voice: Voice) -> anyhow::Result<()> {
    let client = Client::connect(&global.server).await?;
    let mut people: Vec<Person> = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = ListPeopleRequest {
            tenant: global.tenant.clone(),
            user: global.user.clone(),
            page_size: PAGE,
            page_token,
        };
        let page = client.list_people(request).await?;
        people.extend(page.people);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    let views: Vec<PersonView> = people.iter().map(PersonView::from).collect();
    voice.rows(
        &views,
        &["NAME", "PLACEHOLDER", "VECTORS", "WIDTH", "AGE", "ID"],
        people.iter().map(|person| {
            vec![
                person.name.clone(),
                person.placeholder.clone(),
                person.vectors.to_string(),
                person.width.to_string(),
                views::age(person.create_time.as_ref()),
                person.id.clone(),
            ]
        }),
    )?;
    Ok(())
}

fn show(person: &Person, voice: Voice) -> anyhow::Result<()> {
    let view = PersonView::from(person);
    let mut facts = vec![
        ("name", view.name.clone()),
        ("id", view.id.clone()),
        ("placeholder", view.placeholder.clone()),
        ("user", format!("{}/{}", view.tenant, view.user)),
        ("vectors", format!("{} x {}", view.vectors, view.width)),
        ("model", view.model_digest.clone()),
        ("artifact", view.artifact_digest.clone()),
        ("task", view.task_id.clone()),
        ("created", view.create_time.clone().unwrap_or_default()),
    ];
    facts.extend(person.quality.as_deref().map(views::quality_facts).unwrap_or_default());
    voice.facts(&view, &facts)?;
    Ok(())
}

async fn import(options: &ImportArguments, global: &Global, voice: Voice) -> anyhow::Result<()> {
    let mut file = person_files::read(&options.file)?;
    let placeholder = options
        .placeholder
        .clone()
        .or_else(|| file.placeholder.clone())
        .unwrap_or_else(|| DEFAULT_PLACEHOLDER.to_owned());
    file.placeholder = Some(placeholder.clone());
    let bytes = person_files::to_diffusers(&file)?;
    let client = Client::connect(&global.server).await?;
    let request = ImportPersonRequest {
        request_id: RequestId::generate().to_string(),
        tenant: global.tenant.clone(),
        user: global.user.clone(),
        name: options.name.clone(),
        placeholder,
        artifact_digest: client.artifacts().upload(bytes, person_files::MEDIA_TYPE).await?.to_string(),
    };
    let person = client.import_person(request).await?;
    show(&person, voice)
}

async fn export(options: &ExportArguments, global: &Global, voice: Voice) -> anyhow::Result<()> {
    let path = options
        .out
        .clone()
        .unwrap_or_else(|| PathBuf::from(format!("{}.{}", options.person, options.format.ending())));
    whole_file::check_target(&path)?;
    let client = Client::connect(&global.server).await?;
    let person = find(&client, global, &options.person).await?;
    let digest: Digest = person.artifact_digest.parse().context("the server's answer holds no digest")?;
    let artifact = client.artifacts().download(digest, MAX_ARTIFACT_BYTES).await?;
    let mut file = person_files::parse(&artifact.bytes, &person.name)?;
    file.placeholder = Some(person.placeholder.clone());
    whole_file::write(&path, &person_files::in_format(&file, options.format)?)?;
    let exported = Exported { person: PersonView::from(&person), path };
    voice.lines(&exported, &[exported.path.display().to_string()])?;
    Ok(())
}
