//! The hub: what it says of a file, and the file's bytes from any place on.
//!
//! `hf-hub` has the addresses, the credentials and the client that fetches. What the hub says of a file is asked here:
//! `hf-hub` would follow the redirect to where large files are, and show the token there. Nor does it set deadlines or
//! hold what it has fetched against a digest, so its own downloads are not used.

use std::error::Error;
use std::future::Future;
use std::time::Duration;

use hf_hub::api::tokio::{Api, ApiBuilder};
use hf_hub::{Cache, Repo, RepoType};
use reqwest::header::{ACCEPT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, ETAG, HeaderMap, LOCATION, RANGE};
use reqwest::{Client, Response, StatusCode, Url, redirect};
use tokio::time::{sleep, timeout};

use crate::environment::{HubOptions, Token};
use crate::error::HubError;
use crate::reference::{HubName, is_word};

const COMMIT: &str = "x-repo-commit";
/// Of a large file, which is elsewhere: its own name and size, not those of the redirect.
const LINKED_ETAG: &str = "x-linked-etag";
const LINKED_SIZE: &str = "x-linked-size";
const MOST_REDIRECTS: u32 = 5;
const AGENT: &str = concat!("likeness/", env!("CARGO_PKG_VERSION"));

/// A repository of the hub.
pub(crate) struct Remote<'a> {
    api: Api,
    asking: Client,
    name: &'a HubName,
    options: &'a HubOptions,
}

/// What the hub says of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Description {
    pub(crate) commit: String,
    pub(crate) etag: String,
    pub(crate) size: u64,
}

/// Bytes of a file, from `from` on.
pub(crate) struct Opened {
    pub(crate) response: Response,
    pub(crate) from: u64,
}

/// What a try can come to.
pub(crate) enum Trouble {
    /// Another try may do better.
    Passing(String),
    /// There is no such file.
    Missing,
    /// The hub has nothing from this place on.
    NotFromHere,
    Final(HubError),
}

impl<'a> Remote<'a> {
    pub(crate) fn new(name: &'a HubName, options: &'a HubOptions) -> Result<Self, HubError> {
        let api = ApiBuilder::from_cache(Cache::new(options.cache.clone()))
            .with_endpoint(options.endpoint.clone())
            .with_token(options.token.as_ref().map(|token| token.secret().to_owned()))
            .with_user_agent("likeness", env!("CARGO_PKG_VERSION"))
            .with_progress(false)
            .build();
        let asking = Client::builder().redirect(redirect::Policy::none()).user_agent(AGENT).build();
        match (api, asking) {
            (Ok(api), Ok(asking)) => Ok(Self { api, asking, name, options }),
            (Err(error), _) => Err(HubError::Client(error.to_string())),
            (_, Err(error)) => Err(HubError::Client(chain(&error))),
        }
    }

    /// What the hub says of a file at a revision; nothing where there is no such file. Tries `attempts` times.
    pub(crate) async fn describe(
        &self,
        revision: &str,
        file: &str,
        attempts: u32,
    ) -> Result<Option<Description>, HubError> {
        let mut tries = 0;
        loop {
            let reason = match self.describe_once(revision, file).await {
                Ok(description) => return Ok(Some(description)),
                Err(Trouble::Missing) => return Ok(None),
                Err(Trouble::Final(error)) => return Err(error),
                Err(Trouble::NotFromHere) => "it has no first byte".to_owned(),
                Err(Trouble::Passing(reason)) => reason,
            };
            tries += 1;
            if tries >= attempts {
                return Err(self.unreachable(file, reason));
            }
            tracing::debug!(file, reason, "asking the hub once more");
            sleep(self.pause(tries)).await;
        }
    }

    async fn describe_once(&self, revision: &str, file: &str) -> Result<Description, Trouble> {
        let odd = |reason: String| Trouble::Final(self.odd_answer(file, reason));
        let mut address =
            Url::parse(&self.address(revision, file)).map_err(|error| odd(error.to_string()))?;
        for _ in 0..=MOST_REDIRECTS {
            // As it is: the size of a compressed answer says nothing.
            let mut request = self.asking.head(address.clone()).header(ACCEPT_ENCODING, "identity");
            if let Some(token) = &self.options.token {
                request = request.bearer_auth(token.secret());
            }
            let response = self.in_time(request.send()).await?.map_err(|error| self.trouble(file, error))?;
            let response = response.error_for_status().map_err(|error| self.trouble(file, error))?;
            let elsewhere = response.status().is_redirection();
            if let Some(description) = description(response.headers(), elsewhere) {
                return Ok(description);
            }
            // A renamed repository, or another place of the same hub. Nobody else is shown the token.
            let to = text(response.headers(), LOCATION.as_str()).and_then(|to| address.join(to).ok());
            match to.filter(|to| elsewhere && to.origin() == address.origin()) {
                Some(to) => address = to,
                None => return Err(odd("it does not say commit, etag and size".to_owned())),
            }
        }
        Err(odd("it redirects for ever".to_owned()))
    }

    /// Opens a file at byte `from`. The hub may begin at the file's start all the same.
    pub(crate) async fn open(&self, commit: &str, file: &str, from: u64) -> Result<Opened, Trouble> {
        let mut request = self.api.client().get(self.address(commit, file));
        if from > 0 {
            request = request.header(RANGE, format!("bytes={from}-"));
        }
        let response = self.in_time(request.send()).await?.map_err(|error| self.trouble(file, error))?;
        if response.status() == StatusCode::RANGE_NOT_SATISFIABLE && from > 0 {
            return Err(Trouble::NotFromHere);
        }
        let response = response.error_for_status().map_err(|error| self.trouble(file, error))?;
        if response.status() != StatusCode::PARTIAL_CONTENT {
            return Ok(Opened { response, from: 0 });
        }
        let range = text(response.headers(), CONTENT_RANGE.as_str());
        let first =
            range.and_then(|range| range.strip_prefix("bytes ")?.split('-').next()?.parse::<u64>().ok());
        if first != Some(from) {
            let reason = format!("asked for bytes from {from} on it sends {range:?}");
            return Err(Trouble::Final(self.odd_answer(file, reason)));
        }
        Ok(Opened { response, from })
    }

    async fn in_time<T>(&self, answer: impl Future<Output = T>) -> Result<T, Trouble> {
        let answer = timeout(self.options.pace.answer_within, answer).await;
        answer.map_err(|_| Trouble::Passing("no answer in time".to_owned()))
    }

    fn address(&self, revision: &str, file: &str) -> String {
        self.api.repo(Repo::with_revision(self.name.id(), RepoType::Model, revision.to_owned())).url(file)
    }

    fn trouble(&self, file: &str, error: reqwest::Error) -> Trouble {
        let (endpoint, name) = (self.options.endpoint.clone(), self.name.to_string());
        let has_token = self.options.token.as_ref().map(Token::secret).is_some();
        match error.status() {
            Some(StatusCode::UNAUTHORIZED) => {
                Trouble::Final(HubError::Unauthorised { endpoint, name, has_token })
            }
            Some(StatusCode::FORBIDDEN) => Trouble::Final(HubError::Forbidden { endpoint, name, has_token }),
            Some(StatusCode::NOT_FOUND) => Trouble::Missing,
            Some(StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS) => {
                Trouble::Passing(chain(&error.without_url()))
            }
            Some(status) if !status.is_server_error() => {
                Trouble::Final(self.odd_answer(file, chain(&error.without_url())))
            }
            _ => Trouble::Passing(chain(&error.without_url())),
        }
    }

    pub(crate) fn unreachable(&self, file: &str, reason: String) -> HubError {
        HubError::Unreachable { endpoint: self.options.endpoint.clone(), file: file.to_owned(), reason }
    }

    pub(crate) fn odd_answer(&self, file: &str, reason: String) -> HubError {
        HubError::Answer { endpoint: self.options.endpoint.clone(), file: file.to_owned(), reason }
    }

    /// Before the next try, after so many that brought nothing.
    pub(crate) fn pause(&self, tries: u32) -> Duration {
        let pace = &self.options.pace;
        let doubled = pace.first_pause.saturating_mul(1 << tries.saturating_sub(1).min(20));
        doubled.min(pace.most_pause).mul_f64(rand::random_range(0.5..=1.0))
    }

    pub(crate) fn options(&self) -> &HubOptions {
        self.options
    }

    pub(crate) fn name(&self) -> &HubName {
        self.name
    }
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

/// What the headers say, where they say all of it in words that a cache can hold. Those of a file that is `elsewhere` speak of the
/// redirect, but for the ones that are meant for it.
fn description(headers: &HeaderMap, elsewhere: bool) -> Option<Description> {
    let etag = text(headers, LINKED_ETAG).or_else(|| text(headers, ETAG.as_str()).filter(|_| !elsewhere))?;
    let etag = etag.strip_prefix("W/").unwrap_or(etag).trim_matches('"');
    let size = text(headers, LINKED_SIZE)
        .or_else(|| text(headers, CONTENT_LENGTH.as_str()).filter(|_| !elsewhere))?;
    let commit = text(headers, COMMIT)?;
    (is_word(etag) && is_word(commit)).then_some(())?;
    Some(Description { commit: commit.to_owned(), etag: etag.to_owned(), size: size.parse().ok()? })
}

/// An error with its causes. Addresses are left out: where large files are, they carry a signature.
pub(crate) fn chain(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
