//! The names that a pickle may use, and what is made where Python would call them.

use super::document::{Document, Handle, Node, Storage, StorageType, Tensor};

/// An allowed name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Global {
    OrderedDict,
    Set,
    RebuildTensor,
    RebuildParameter,
    ParameterDict,
    Storage(StorageType),
}

impl Global {
    /// Looks a name up in the whitelist.
    pub(super) fn find(module: &str, name: &str) -> Result<Self, String> {
        Ok(match (module, name) {
            ("collections", "OrderedDict") => Self::OrderedDict,
            ("__builtin__" | "builtins", "set") => Self::Set,
            ("torch._utils", "_rebuild_tensor_v2") => Self::RebuildTensor,
            ("torch._utils", "_rebuild_parameter") => Self::RebuildParameter,
            ("torch.nn.modules.container", "ParameterDict") => Self::ParameterDict,
            ("torch", "FloatStorage") => Self::Storage(StorageType::Float),
            ("torch", "DoubleStorage") => Self::Storage(StorageType::Double),
            ("torch", "HalfStorage") => Self::Storage(StorageType::Half),
            ("torch", "BFloat16Storage") => Self::Storage(StorageType::BFloat16),
            _ => return Err(format!("it uses {module}.{name}, which no embedding needs")),
        })
    }

    /// What `self(*arguments)` stands for. `Ok(Err(handle))` is a value that exists already.
    pub(super) fn call(
        self,
        document: &Document,
        arguments: &[Handle],
    ) -> Result<Result<Node, Handle>, String> {
        match (self, arguments) {
            (Self::OrderedDict, []) => Ok(Ok(Node::Dict(Vec::new()))),
            (Self::Set, [] | [_]) => Ok(Ok(Node::Set)),
            (Self::ParameterDict, []) => Ok(Ok(Node::Object(None))),
            (Self::RebuildParameter, [data, ..]) => Ok(Err(*data)),
            (Self::RebuildTensor, [storage, offset, shape, strides, ..]) => {
                tensor(document, *storage, *offset, *shape, *strides)
                    .map(|tensor| Ok(Node::Tensor(tensor)))
                    .ok_or_else(|| "it rebuilds a tensor from something that is not one".to_owned())
            }
            _ => Err(format!("it calls {self:?} with {} arguments", arguments.len())),
        }
    }
}

fn tensor(
    document: &Document,
    storage: Handle,
    offset: Handle,
    shape: Handle,
    strides: Handle,
) -> Option<Tensor> {
    let Node::Storage(storage) = document.node(storage) else { return None };
    let counts = |handle: Handle| match document.node(handle) {
        Node::Tuple(items) if items.len() <= 8 => {
            items.iter().map(|item| document.node(*item).as_count()).collect::<Option<Vec<usize>>>()
        }
        _ => None,
    };
    let offset = document.node(offset).as_count()?;
    Some(Tensor { storage: storage.clone(), offset, shape: counts(shape)?, strides: counts(strides)? })
}

/// The persistent id `("storage", class, key, location, count)` with which torch names raw numbers.
pub(super) fn storage(document: &Document, id: Handle) -> Result<Storage, String> {
    let strange = || "it has a persistent id that does not name a storage".to_owned();
    let Node::Tuple(items) = document.node(id) else { return Err(strange()) };
    let [tag, class, key, _location, _count] = items.as_slice() else { return Err(strange()) };
    if document.node(*tag).as_text() != Some("storage") {
        return Err(strange());
    }
    let Node::Global(Global::Storage(kind)) = document.node(*class) else { return Err(strange()) };
    let key = document.node(*key).as_text().ok_or_else(strange)?;
    if key.is_empty() || key.len() > 32 || !key.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err("it names a storage in an unusual way".to_owned());
    }
    Ok(Storage { kind: *kind, key: key.to_owned() })
}
