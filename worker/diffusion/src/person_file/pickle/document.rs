//! What a pickle can build: plain values in one arena, referring to each other by place.

use super::globals::Global;

/// A place in [`Document`]'s arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Handle(pub(super) usize);

/// The numbers of a storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum StorageType {
    Float,
    Double,
    Half,
    BFloat16,
}

/// Raw numbers in another entry of the zip.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Storage {
    pub(in super::super) kind: StorageType,
    /// The entry's name under `data/`: letters and digits.
    pub(in super::super) key: String,
}

/// A view of a storage; offset and strides count numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Tensor {
    pub(in super::super) storage: Storage,
    pub(in super::super) offset: usize,
    pub(in super::super) shape: Vec<usize>,
    pub(in super::super) strides: Vec<usize>,
}

/// One value.
#[derive(Clone, Debug)]
pub(in super::super) enum Node {
    None,
    Bool,
    Integer(i64),
    Float,
    Text(String),
    Tuple(Vec<Handle>),
    List(Vec<Handle>),
    Set,
    Dict(Vec<(Handle, Handle)>),
    Global(Global),
    Storage(Storage),
    Tensor(Tensor),
    /// An object of an allowed class with its attributes, if they were set.
    Object(Option<Handle>),
}

impl Node {
    pub(in super::super) fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A size, offset or stride.
    pub(super) fn as_count(&self) -> Option<usize> {
        match self {
            Self::Integer(value) => usize::try_from(*value).ok(),
            _ => None,
        }
    }
}

/// All values of a pickle and the one it ends with.
#[derive(Debug)]
pub(in super::super) struct Document {
    pub(super) nodes: Vec<Node>,
    pub(super) root: Handle,
}

/// What a handle that points nowhere reads as; the machine makes none.
static NOTHING: Node = Node::None;

impl Document {
    /// The value that the pickle is.
    pub(in super::super) fn root(&self) -> &Node {
        self.node(self.root)
    }

    pub(super) fn node(&self, handle: Handle) -> &Node {
        self.nodes.get(handle.0).unwrap_or(&NOTHING)
    }

    /// The entries of a dictionary, or the attributes of an object: keys that are text, and values.
    pub(in super::super) fn entries<'a>(
        &'a self,
        node: &'a Node,
    ) -> Option<Vec<(Option<&'a str>, &'a Node)>> {
        let pairs = match node {
            Node::Dict(pairs) => pairs,
            Node::Object(Some(state)) => match self.node(*state) {
                Node::Dict(pairs) => pairs,
                _ => return None,
            },
            _ => return None,
        };
        Some(pairs.iter().map(|(key, value)| (self.node(*key).as_text(), self.node(*value))).collect())
    }

    /// The value of a key; the last one, where a key occurs twice.
    pub(in super::super) fn get<'a>(&'a self, node: &'a Node, key: &str) -> Option<&'a Node> {
        let entries = self.entries(node)?;
        entries.into_iter().rev().find(|(name, _)| *name == Some(key)).map(|(_, value)| value)
    }
}
