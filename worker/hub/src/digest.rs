//! Holding bytes against the digest that a hub states for them.
//!
//! The hub names large files by their sha256 and small ones as git does. A mirror may name them otherwise; then only
//! the length can be held against anything.

use std::path::Path;

use sha1_smol::Sha1;
use sha2::{Digest, Sha256};
use tokio::io::AsyncReadExt;

/// Bytes read and digested at a time.
const PIECE: usize = 1 << 20;

/// What a hub's name for a file says about its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Sha256,
    GitBlob,
    Unknown,
}

fn kind_of(etag: &str) -> Kind {
    let is_hex = etag.chars().all(|sign| sign.is_ascii_hexdigit());
    match etag.len() {
        64 if is_hex => Kind::Sha256,
        40 if is_hex => Kind::GitBlob,
        _ => Kind::Unknown,
    }
}

/// Whether the name says anything about the bytes.
pub(crate) fn is_digest(etag: &str) -> bool {
    kind_of(etag) != Kind::Unknown
}

/// Digests a file's bytes as they come.
pub(crate) struct Digester {
    etag: String,
    sha256: Sha256,
    git: Option<Sha1>,
    length: u64,
}

/// What the bytes turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Digested {
    pub(crate) sha256: String,
    pub(crate) length: u64,
    /// Their digest of the kind that was stated, where it is not the one that was stated.
    pub(crate) other: Option<String>,
}

impl Digester {
    /// For the file that the hub names `etag`, of `size` bytes: git's digest begins with the length.
    pub(crate) fn new(etag: &str, size: u64) -> Self {
        let git = (kind_of(etag) == Kind::GitBlob).then(|| {
            let mut git = Sha1::new();
            git.update(format!("blob {size}\0").as_bytes());
            git
        });
        Self { etag: etag.to_owned(), sha256: Sha256::new(), git, length: 0 }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.sha256.update(bytes);
        if let Some(git) = &mut self.git {
            git.update(bytes);
        }
        self.length += bytes.len() as u64;
    }

    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    pub(crate) fn finish(self) -> Digested {
        let sha256 = hex::encode(self.sha256.finalize());
        let own = match (kind_of(&self.etag), self.git) {
            (Kind::Sha256, _) => Some(sha256.clone()),
            (_, git) => git.map(|git| git.digest().to_string()),
        };
        let other = own.filter(|own| !own.eq_ignore_ascii_case(&self.etag));
        Digested { sha256, length: self.length, other }
    }

    /// Reads the file at `path` from where it stands to its end. `seen` hears of every piece. Stops where it is
    /// dropped: nothing goes on in the background for longer than a piece.
    pub(crate) async fn read(&mut self, path: &Path, mut seen: impl FnMut(u64)) -> std::io::Result<()> {
        let mut file = tokio::fs::File::open(path).await?;
        file.set_max_buf_size(PIECE);
        let mut buffer = vec![0; PIECE];
        loop {
            let count = file.read(&mut buffer).await?;
            if count == 0 {
                return Ok(());
            }
            self.update(buffer.get(..count).unwrap_or_default());
            seen(count as u64);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_names_of_a_file_are_known() {
        // `sha256sum` and `git hash-object` of "hello\n".
        let sha256 = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";
        let git = "ce013625030ba8dba906f756967f9e9ca394464a";
        let digested = |etag: &str| {
            let mut digester = Digester::new(etag, 6);
            digester.update(b"hel");
            digester.update(b"lo\n");
            digester.finish()
        };
        assert_eq!((digested(sha256).sha256.as_str(), digested(git).length), (sha256, 6));
        for right in [sha256, git, &sha256.to_uppercase(), "a-mirrors-own-name"] {
            assert_eq!(digested(right).other, None, "{right}");
        }
        assert_eq!(digested(&"0".repeat(64)).other.as_deref(), Some(sha256));
        assert_eq!(digested(&"0".repeat(40)).other.as_deref(), Some(git));
        assert!(is_digest(git) && !is_digest("a-mirrors-own-name"));
    }
}
