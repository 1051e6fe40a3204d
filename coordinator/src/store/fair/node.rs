//! The tree's nodes and their names.

use likeness_shared::proto::TaskKind;
use serde::{Deserialize, Serialize};

use crate::store::record::StoreTime;

/// Parts a name from the next one; no name holds it.
const END: char = '\0';

/// Tasks of one kind for one model.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lane {
    /// The model asked for; empty = the fleet's default model.
    pub model: String,
    /// The kind, as a digit: [`class_byte`].
    pub class: u8,
}

impl Lane {
    /// As one text.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{}{END}{}", self.model, self.class)
    }

    /// The reverse of [`Lane::text`].
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let (model, class) = text.split_once(END)?;
        Some(Self { model: model.to_owned(), class: class.parse().ok()? })
    }

    /// The kind of the lane's tasks.
    #[must_use]
    pub fn kind(&self) -> TaskKind {
        TaskKind::try_from(i32::from(self.class)).unwrap_or_default()
    }
}

/// A kind of task as one digit.
#[must_use]
pub fn class_byte(kind: TaskKind) -> u8 {
    u8::try_from(kind as i32).unwrap_or(0)
}

/// Where a user's tasks of one lane stand in the tree.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// Model and class.
    pub lane: Lane,
    /// The platform.
    pub tenant: String,
    /// The platform's user.
    pub user: String,
}

impl Place {
    /// Tenant and user as one text; names hold no slash.
    #[must_use]
    pub fn owner(&self) -> String {
        format!("{}/{}", self.tenant, self.user)
    }

    /// The nodes from the user's up to the root: user, tenant, class, model, root.
    #[must_use]
    pub fn nodes(&self) -> [NodeKey; 5] {
        let Self { lane: Lane { model, class }, tenant, user } = self;
        [
            NodeKey(format!("4{model}{END}{class}{END}{tenant}{END}{user}")),
            NodeKey(format!("3{model}{END}{class}{END}{tenant}")),
            NodeKey(format!("2{model}{END}{class}")),
            NodeKey::model(model),
            NodeKey::root(),
        ]
    }
}

/// Names a node: its depth as a digit, then the names from the model down.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeKey(String);

impl NodeKey {
    /// The parent of all models.
    #[must_use]
    pub fn root() -> Self {
        Self("0".to_owned())
    }

    /// A model's node.
    #[must_use]
    pub fn model(model: &str) -> Self {
        Self(format!("1{model}"))
    }

    /// A lane's node.
    #[must_use]
    pub fn class(lane: &Lane) -> Self {
        Self(format!("2{}", lane.text()))
    }

    /// A key that was read from a store.
    #[must_use]
    pub fn from_text(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// As it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// 0 = the root to 4 = a user.
    #[must_use]
    pub fn depth(&self) -> u8 {
        self.0.bytes().next().map_or(0, |digit| digit.saturating_sub(b'0'))
    }

    /// The parent's key and the own name below it; the root has none.
    #[must_use]
    pub fn split(&self) -> Option<(Self, &str)> {
        let depth = self.depth();
        let names = self.0.get(1..)?;
        match depth {
            0 => None,
            1 => Some((Self::root(), names)),
            _ => {
                let (parent, name) = names.rsplit_once(END)?;
                Some((Self(format!("{}{parent}", depth - 1)), name))
            }
        }
    }

    /// The key of the child of that name.
    #[must_use]
    pub fn child(&self, name: &str) -> Self {
        let names = self.0.get(1..).unwrap_or_default();
        match self.depth() {
            0 => Self::model(name),
            depth => Self(format!("{}{names}{END}{name}", depth + 1)),
        }
    }

    /// Whose place a user's node is.
    #[must_use]
    pub fn place(&self) -> Option<Place> {
        let mut names = self.0.strip_prefix('4')?.split(END);
        let lane = Lane { model: names.next()?.to_owned(), class: names.next()?.parse().ok()? };
        Some(Place { lane, tenant: names.next()?.to_owned(), user: names.next()?.to_owned() })
    }
}

/// What is known of a node. Virtual times are GPU-microseconds at the usual weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Node {
    /// What was charged below it, for its weight; lifted to the parent's floor whenever it begins to wait.
    pub virtual_time: u64,
    /// The virtual time of the newest child served.
    pub floor: u64,
    /// Whether it has a place in the order.
    pub standing: Standing,
    /// Since when nothing of it waits; without meaning while something does.
    pub idle_since: StoreTime,
}

impl Node {
    /// A node of which nothing is known.
    #[must_use]
    pub fn idle(now: StoreTime) -> Self {
        Self { virtual_time: 0, floor: 0, standing: Standing::Idle, idle_since: now }
    }
}

/// Whether a node has a place in its parent's order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Standing {
    /// Nothing of it waits.
    Idle,
    /// Something of it waits, and it may be served.
    Active,
    /// Something of it waits, and a cap keeps it back.
    KeptBack,
}

impl Standing {
    /// Of a node with something that waits, or with a full cap, or both.
    #[must_use]
    pub fn of(waits: bool, full: bool) -> Self {
        match (waits, full) {
            (false, _) => Self::Idle,
            (true, false) => Self::Active,
            (true, true) => Self::KeptBack,
        }
    }

    /// As stores write it.
    #[must_use]
    pub fn digit(self) -> u8 {
        match self {
            Self::Idle => 0,
            Self::Active => 1,
            Self::KeptBack => 2,
        }
    }

    /// The reverse of [`Standing::digit`].
    #[must_use]
    pub fn read(digit: u64) -> Option<Self> {
        [Self::Idle, Self::Active, Self::KeptBack]
            .into_iter()
            .find(|standing| u64::from(standing.digit()) == digit)
    }
}

/// Tasks that wait, and their estimated cost in GPU-microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Waiting {
    /// How many.
    pub tasks: u64,
    /// What they are expected to cost.
    pub cost: u64,
}

impl Waiting {
    /// What so many of them are expected to cost, as they do on average.
    #[must_use]
    pub fn cost_of(self, tasks: u64) -> u64 {
        self.cost.checked_div(self.tasks).unwrap_or(0) * tasks.min(self.tasks)
    }
}
