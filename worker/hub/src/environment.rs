//! Where the cache and the hub are, as the hub's own programs are told by the environment.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::HubError;

const DEFAULT_ENDPOINT: &str = "https://huggingface.co";

/// A secret that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Token(String);

impl Token {
    pub(crate) fn secret(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// How long to wait, and how often to try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pace {
    /// For the answer to a question.
    pub answer_within: Duration,
    /// Between two pieces of a file.
    pub stall: Duration,
    /// Tries that bring nothing, one after another, until it is given up.
    pub attempts: u32,
    /// The pause before the second try; it doubles from try to try, each shortened by up to a half.
    pub first_pause: Duration,
    /// The longest pause.
    pub most_pause: Duration,
    /// For another process that fetches the same file.
    pub lock_within: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            answer_within: Duration::from_secs(30),
            stall: Duration::from_secs(60),
            attempts: 6,
            first_pause: Duration::from_millis(500),
            most_pause: Duration::from_secs(20),
            lock_within: Duration::from_secs(3600),
        }
    }
}

/// Where models are fetched from and kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubOptions {
    /// The folder of all repositories.
    pub cache: PathBuf,
    /// The address of the hub or a mirror of it.
    pub endpoint: String,
    /// Dial nobody.
    pub offline: bool,
    /// Waits.
    pub pace: Pace,
    pub(crate) token: Option<Token>,
}

impl HubOptions {
    /// Everything by its name: the cache's folder and the hub's address.
    pub fn new(cache: PathBuf, endpoint: &str) -> Self {
        let endpoint = endpoint.trim_end_matches('/').to_owned();
        Self { cache, endpoint, offline: false, pace: Pace::default(), token: None }
    }

    /// The same with a token.
    #[must_use]
    pub fn with_token(self, token: &str) -> Self {
        Self { token: Some(Token(token.to_owned())), ..self }
    }

    /// What the environment says: `HF_HUB_CACHE`, `HF_HOME` or `XDG_CACHE_HOME` where the cache is, `HF_ENDPOINT`,
    /// `HF_HUB_OFFLINE`, and `HF_TOKEN`, `HF_TOKEN_PATH` or the file `token` that a login has left. `cache` and
    /// `offline` go before it.
    ///
    /// # Errors
    /// Where nothing says where the cache is, or the endpoint is no address.
    pub fn from_environment(cache: Option<&Path>, offline: bool) -> Result<Self, HubError> {
        Self::read(cache, offline, &|name| std::env::var_os(name), std::env::home_dir())
    }

    fn read(
        cache: Option<&Path>,
        offline: bool,
        variable: &dyn Fn(&str) -> Option<OsString>,
        user_home: Option<PathBuf>,
    ) -> Result<Self, HubError> {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let text = |name: &str| set(name).map(|value| value.to_string_lossy().into_owned());
        let folder = |name: &str| set(name).map(PathBuf::from);
        let home = folder("HF_HOME")
            .or_else(|| folder("XDG_CACHE_HOME").map(|folder| folder.join("huggingface")))
            .or_else(|| user_home.map(|folder| folder.join(".cache/huggingface")));
        let cache = cache
            .map(Path::to_path_buf)
            .or_else(|| folder("HF_HUB_CACHE"))
            .or_else(|| folder("HUGGINGFACE_HUB_CACHE"))
            .or_else(|| home.as_ref().map(|home| home.join("hub")))
            .ok_or(HubError::NoCache)?;
        let endpoint = text("HF_ENDPOINT").unwrap_or_else(|| DEFAULT_ENDPOINT.to_owned());
        let is_address = url::Url::parse(&endpoint)
            .is_ok_and(|address| ["http", "https"].contains(&address.scheme()) && address.has_host());
        if !is_address {
            return Err(HubError::Endpoint(endpoint));
        }
        let is_on = |name: &str| {
            text(name)
                .is_some_and(|value| ["1", "ON", "YES", "TRUE"].contains(&value.to_uppercase().as_str()))
        };
        let token_file = folder("HF_TOKEN_PATH").or_else(|| home.map(|home| home.join("token")));
        let token = text("HF_TOKEN").or_else(|| std::fs::read_to_string(token_file?).ok());
        let token = token
            .map(|token| token.trim().to_owned())
            .filter(|token| !token.is_empty() && !is_on("HF_HUB_DISABLE_IMPLICIT_TOKEN"));
        let options = Self::new(cache, &endpoint);
        Ok(Self { offline: offline || is_on("HF_HUB_OFFLINE"), token: token.map(Token), ..options })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)], cache: Option<&str>, offline: bool) -> Result<HubOptions, HubError> {
        let variable = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value))
        };
        HubOptions::read(cache.map(Path::new), offline, &variable, Some("/home/ann".into()))
    }

    #[test]
    fn the_cache_is_where_the_hubs_programs_have_theirs() {
        let cache = |variables: &[(&str, &str)]| read(variables, None, false).unwrap().cache;
        assert_eq!(cache(&[]), Path::new("/home/ann/.cache/huggingface/hub"));
        assert_eq!(cache(&[("XDG_CACHE_HOME", "/x")]), Path::new("/x/huggingface/hub"));
        assert_eq!(cache(&[("HF_HOME", "/h"), ("XDG_CACHE_HOME", "/x")]), Path::new("/h/hub"));
        assert_eq!(cache(&[("HF_HUB_CACHE", "/c"), ("HF_HOME", "/h")]), Path::new("/c"));
        let own = read(&[("HF_HUB_CACHE", "/c")], Some("/own"), false).unwrap();
        assert_eq!((own.cache, own.endpoint.as_str()), (PathBuf::from("/own"), DEFAULT_ENDPOINT));
        assert!(matches!(HubOptions::read(None, false, &|_| None, None), Err(HubError::NoCache)));
    }

    #[test]
    fn mirrors_offline_and_tokens_are_the_environments() {
        let options =
            read(&[("HF_ENDPOINT", "http://mirror:80/hf/"), ("HF_HUB_OFFLINE", "true")], None, false);
        let options = options.unwrap();
        assert_eq!((options.endpoint.as_str(), options.offline), ("http://mirror:80/hf", true));
        assert!(read(&[("HF_HUB_OFFLINE", "0")], None, true).unwrap().offline);
        for wrong in ["mirror", "ftp://mirror", "http://"] {
            let error = read(&[("HF_ENDPOINT", wrong)], None, false).unwrap_err();
            assert!(error.to_string().contains("HF_ENDPOINT"), "{error}");
        }
        let secret = read(&[("HF_TOKEN", " hf_secret\n")], None, false).unwrap();
        assert_eq!(secret.token.as_ref().map(Token::secret), Some("hf_secret"));
        assert!(!format!("{secret:?}").contains("hf_secret"));
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("token"), "hf_file\n").unwrap();
        let home = folder.path().display().to_string();
        assert_eq!(read(&[("HF_HOME", &home)], None, false).unwrap().token, Some(Token("hf_file".into())));
        let refused = read(&[("HF_HOME", &home), ("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")], None, false);
        assert_eq!(refused.unwrap().token, None);
    }
}
