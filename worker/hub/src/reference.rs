//! Telling a folder from the name of a repository.

use std::fmt;
use std::path::{Path, PathBuf};

/// The revision of a name that states none.
const DEFAULT_REVISION: &str = "main";

/// A text that names no model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// Nothing.
    #[error("a model is named by its folder, or as owner/name or owner/name@revision on a model hub")]
    Empty,
    /// It can only be a folder, and there is none.
    #[error("there is no folder {}; a model of a hub is named owner/name or owner/name@revision", .0.display())]
    NoFolder(PathBuf),
    /// It has the form of a name with signs that names do not have.
    #[error(
        "{text:?} is neither a folder nor the name of a model: {part} {value:?} has other signs than letters, digits \
         and . _ -"
    )]
    Name {
        /// All of it.
        text: String,
        /// Which part.
        part: &'static str,
        /// What that part is.
        value: String,
    },
}

/// What a text refers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModelReference {
    /// A folder that is there.
    Folder(PathBuf),
    /// A repository of a hub.
    Hub(HubName),
}

impl ModelReference {
    /// Reads `text`: an existing folder wins. What begins with `/`, `./`, `../` or `~`, or has not exactly one slash,
    /// can only be a folder. Everything else is `owner/name` or `owner/name@revision`.
    ///
    /// # Errors
    /// Where it can only be a folder and there is none, or a name has signs that no name has.
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        Self::parse_at_home(text, std::env::home_dir().as_deref())
    }

    fn parse_at_home(text: &str, home: Option<&Path>) -> Result<Self, ReferenceError> {
        if text.is_empty() {
            return Err(ReferenceError::Empty);
        }
        let path = match (text.strip_prefix("~/"), home) {
            (Some(rest), Some(home)) => home.join(rest),
            _ => PathBuf::from(text),
        };
        if path.is_dir() {
            return Ok(Self::Folder(path));
        }
        let (name, revision) = text.split_once('@').map_or((text, None), |(name, it)| (name, Some(it)));
        let is_path = ["/", "./", "../", "~"].iter().any(|start| text.starts_with(start));
        match name.split_once('/') {
            Some((owner, name)) if !is_path && !name.contains('/') && !name.is_empty() => {
                HubName::new(owner, name, revision).map(Self::Hub)
            }
            _ => Err(ReferenceError::NoFolder(path)),
        }
    }
}

/// A repository of a hub, and which state of it. Every part is safe as a part of a path or an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubName {
    owner: String,
    name: String,
    revision: Option<String>,
}

impl HubName {
    fn new(owner: &str, name: &str, revision: Option<&str>) -> Result<Self, ReferenceError> {
        let text = || match revision {
            Some(revision) => format!("{owner}/{name}@{revision}"),
            None => format!("{owner}/{name}"),
        };
        let wrong = |part, value: &str| ReferenceError::Name { text: text(), part, value: value.to_owned() };
        for (part, value) in [("the owner", owner), ("the name", name)] {
            if !is_word(value) {
                return Err(wrong(part, value));
            }
        }
        if let Some(revision) = revision.filter(|revision| !revision.split('/').all(is_word)) {
            return Err(wrong("the revision", revision));
        }
        Ok(Self { owner: owner.to_owned(), name: name.to_owned(), revision: revision.map(str::to_owned) })
    }

    /// The same repository at another revision: a commit, a tag or a branch.
    ///
    /// # Errors
    /// Where the revision has signs that no revision has.
    pub fn at(&self, revision: &str) -> Result<Self, ReferenceError> {
        Self::new(&self.owner, &self.name, Some(revision))
    }

    /// `owner/name`.
    pub fn id(&self) -> String {
        format!("{}/{}", self.owner, self.name)
    }

    /// The folder of the repository in a cache.
    pub(crate) fn folder(&self) -> String {
        format!("models--{}--{}", self.owner, self.name)
    }

    /// The revision that was stated.
    pub fn stated_revision(&self) -> Option<&str> {
        self.revision.as_deref()
    }

    /// The revision, `main` where none was stated.
    pub fn revision(&self) -> &str {
        self.revision.as_deref().unwrap_or(DEFAULT_REVISION)
    }

    /// Whether the revision is a commit, which never comes to mean anything else.
    pub fn is_fixed(&self) -> bool {
        is_commit(self.revision())
    }
}

/// As it is written: `owner/name@revision`.
impl fmt::Display for HubName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.owner, self.name)?;
        self.revision.iter().try_for_each(|revision| write!(f, "@{revision}"))
    }
}

/// Letters, digits and `. _ -`, not beginning with a dot or a dash: no word leads out of a folder.
pub(crate) fn is_word(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 128
        && !text.starts_with(['.', '-'])
        && text.chars().all(|sign| sign.is_ascii_alphanumeric() || ['.', '_', '-'].contains(&sign))
}

pub(crate) fn is_commit(text: &str) -> bool {
    text.len() == 40 && text.chars().all(|sign| sign.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> HubName {
        match ModelReference::parse(text) {
            Ok(ModelReference::Hub(name)) => name,
            other => panic!("{text} is {other:?}"),
        }
    }

    #[test]
    fn names_have_an_owner_and_perhaps_a_revision() {
        let plain = name("stabilityai/stable-diffusion-2-1-base");
        assert_eq!(
            (plain.id().as_str(), plain.revision()),
            ("stabilityai/stable-diffusion-2-1-base", "main")
        );
        assert_eq!(plain.folder(), "models--stabilityai--stable-diffusion-2-1-base");
        assert!(!plain.is_fixed());
        let branch = name("a/b.c@refs/pr/1");
        assert_eq!((branch.revision(), branch.to_string().as_str()), ("refs/pr/1", "a/b.c@refs/pr/1"));
        assert!(name(&format!("a/b@{}", "0f".repeat(20))).is_fixed());
    }

    #[test]
    fn an_existing_folder_wins_over_a_name() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("acme/model")).unwrap();
        let text = folder.path().join("acme/model").display().to_string();
        assert_eq!(ModelReference::parse(&text), Ok(ModelReference::Folder(text.into())));
        // The tests of a crate run in its folder.
        assert_eq!(
            ModelReference::parse("tests/support"),
            Ok(ModelReference::Folder("tests/support".into()))
        );
        assert!(matches!(ModelReference::parse("tests/no-such"), Ok(ModelReference::Hub(_))));
        let home = ModelReference::parse_at_home("~/acme/model", Some(folder.path()));
        assert_eq!(home, Ok(ModelReference::Folder(folder.path().join("acme/model"))));
    }

    #[test]
    fn what_can_only_be_a_folder_must_be_there() {
        for text in ["/no/such", "./no", "../no", "~/no/such", "plain", "a/b/c", "a/", "a/b/c@v1", "plain@v1"]
        {
            let error = ModelReference::parse(text).unwrap_err();
            assert!(matches!(error, ReferenceError::NoFolder(_)), "{text}: {error}");
            assert!(error.to_string().contains("owner/name@revision"), "{error}");
        }
        assert_eq!(ModelReference::parse(""), Err(ReferenceError::Empty));
    }

    #[test]
    fn names_cannot_lead_out_of_the_cache() {
        for text in
            ["a/..", "-a/b", "a/b@../../x", "a/b@", "a b/c", "a/b?x", "a/b@v1/", "a/b@x//y", "a/b@v1@v2"]
        {
            let error = ModelReference::parse(text).unwrap_err();
            assert!(matches!(error, ReferenceError::Name { .. }), "{text}: {error}");
        }
    }
}
