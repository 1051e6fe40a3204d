//! Ids and names as types of their own: a value of one of these types has been checked once, where it came in.
//!
//! Every type reads from text (`FromStr`), prints as the same text, and serialises as that text.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};
use ulid::Ulid;

/// Why a text is not an id or a name. The message says what the text would have to look like.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} {given:?} is not valid: {rule}")]
pub struct InvalidId {
    what: &'static str,
    given: String,
    rule: &'static str,
}

impl InvalidId {
    fn new(what: &'static str, given: &str, rule: &'static str) -> Self {
        Self { what, given: given.chars().take(80).collect(), rule }
    }
}

macro_rules! text_serde {
    ($name:ident) => {
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

macro_rules! ulid_id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Ulid);

        impl $name {
            /// A fresh id: the host's milliseconds in front, so that ids sort by age, and 80 random bits.
            #[must_use]
            pub fn generate() -> Self {
                Self(Ulid::generate())
            }

            /// The 16 bytes, big-endian: they sort as the text does.
            #[must_use]
            pub fn to_bytes(self) -> [u8; 16] {
                self.0.to_bytes()
            }

            /// The reverse of [`Self::to_bytes`].
            #[must_use]
            pub fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Ulid::from_bytes(bytes))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Ulid::from_string(text)
                    .map(Self)
                    .map_err(|_| InvalidId::new($what, text, "it must be a ULID of 26 characters"))
            }
        }

        text_serde!($name);
    };
}

ulid_id!(
    /// A task, given by the coordinator.
    TaskId,
    "task id"
);
ulid_id!(
    /// A learned person, given by the coordinator.
    PersonId,
    "person id"
);

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $what:literal, $max:literal, $allowed:expr, $rule:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                let allowed: fn(char) -> bool = $allowed;
                let acceptable = (1..=$max).contains(&text.len()) && text.chars().all(allowed);
                acceptable.then(|| Self(text.to_owned())).ok_or_else(|| InvalidId::new($what, text, $rule))
            }
        }

        text_serde!($name);
    };
}

fn in_account_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-_.@".contains(c)
}

fn in_person_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '-' || c == '_'
}

fn visible_ascii(c: char) -> bool {
    c.is_ascii_graphic()
}

text_id!(
    /// The platform that a user belongs to.
    TenantName,
    "tenant",
    64,
    in_account_name,
    "use 1 to 64 letters, digits, '-', '_', '.' or '@'"
);
text_id!(
    /// A user within a tenant.
    UserName,
    "user",
    64,
    in_account_name,
    "use 1 to 64 letters, digits, '-', '_', '.' or '@'"
);
text_id!(
    /// The name of a person within a user's collection.
    PersonName,
    "person name",
    64,
    in_person_name,
    "use 1 to 64 letters, digits, '-' or '_'"
);
text_id!(
    /// A worker process' own name, stable over its reconnects.
    WorkerId,
    "worker id",
    128,
    visible_ascii,
    "use 1 to 128 visible ASCII characters"
);
text_id!(
    /// Random per worker process: tells a restarted worker from its predecessor.
    Incarnation,
    "incarnation",
    128,
    visible_ascii,
    "use 1 to 128 visible ASCII characters"
);
text_id!(
    /// The caller's name for a request: repeating it is harmless.
    RequestId,
    "request id",
    128,
    visible_ascii,
    "use 1 to 128 visible ASCII characters, such as a UUID"
);

impl WorkerId {
    /// A fresh worker id.
    #[must_use]
    pub fn generate() -> Self {
        Self(format!("worker-{}", Ulid::generate().to_string().to_lowercase()))
    }
}

impl Incarnation {
    /// A fresh incarnation.
    #[must_use]
    pub fn generate() -> Self {
        Self(Ulid::generate().to_string())
    }
}

impl RequestId {
    /// A fresh request id.
    #[must_use]
    pub fn generate() -> Self {
        Self(Ulid::generate().to_string())
    }
}

/// The number of a lease. Grows strictly per task; every write of an attempt names it, and the store refuses the
/// writes of an older one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Fence(pub u64);

impl fmt::Display for Fence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The sha256 of an artifact's bytes, written as 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The 32 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

impl FromStr for Digest {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let refuse =
            || InvalidId::new("digest", text, "it must be a sha256 of 64 lower-case hexadecimal digits");
        if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err(refuse());
        }
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| refuse())?;
        Ok(Self(bytes))
    }
}

text_serde!(Digest);

/// Computes a [`Digest`] piece by piece.
#[derive(Clone, Default)]
pub struct DigestBuilder(Sha256);

impl DigestBuilder {
    /// Appends `bytes`.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of everything appended.
    #[must_use]
    pub fn finish(self) -> Digest {
        Digest(self.0.finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn task_ids_round_trip_and_sort_as_their_bytes() {
        let (first, second) = (TaskId::generate(), TaskId::generate());
        assert_eq!(first.to_string().parse::<TaskId>().unwrap(), first);
        assert_eq!(TaskId::from_bytes(first.to_bytes()), first);
        assert_eq!(first.cmp(&second), first.to_bytes().cmp(&second.to_bytes()));
    }

    #[test]
    fn digests_are_checked() {
        let digest = Digest::of(b"abc");
        assert_eq!(digest.to_string(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(digest.to_string().parse::<Digest>().unwrap(), digest);
        assert!(digest.to_string().to_uppercase().parse::<Digest>().is_err());
        assert!("ba78".parse::<Digest>().is_err());
        let mut builder = DigestBuilder::default();
        builder.update(b"a");
        builder.update(b"bc");
        assert_eq!(builder.finish(), digest);
    }

    #[test]
    fn names_refuse_what_could_hide_a_path_or_a_line() {
        for bad in ["", "a/b", "a b", "a\nb", "ä", &"x".repeat(65)] {
            assert!(bad.parse::<TenantName>().is_err(), "{bad:?}");
            assert!(bad.parse::<PersonName>().is_err(), "{bad:?}");
        }
        assert!("anna@example.org".parse::<UserName>().is_ok());
        assert!("anna@example.org".parse::<PersonName>().is_err());
        let message = "a b".parse::<UserName>().unwrap_err().to_string();
        assert!(message.contains("user \"a b\""), "{message}");
    }
}
