//! An ONNX file in memory, run by `rten` on the CPU.
//!
//! Nothing of the runtime is seen outside this file: tensors come and go as shapes and flat vectors. A loaded
//! network is immutable and may be run from several threads; the runtime spreads one run over the machine's
//! cores by itself.

use std::path::{Path, PathBuf};

use rten::{Dimension, Model, NodeId, Value};
use rten_tensor::Layout;
use sha2::{Digest, Sha256};

use crate::error::{FaceError, NetworkRole};

/// A tensor that a network gave.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) shape: Vec<usize>,
    /// Row by row.
    pub(crate) values: Vec<f32>,
}

pub(crate) struct Network {
    model: Model,
    role: NetworkRole,
    path: PathBuf,
    digest: [u8; 32],
    input: NodeId,
    input_sides: [Option<usize>; 4],
}

const IMAGE_INPUT: &str = "one input of the shape batch x 3 x height x width";

impl Network {
    /// Reads a network with one input, a batch of pictures as NCHW in f32 with three channels.
    pub(crate) fn load(path: &Path, role: NetworkRole) -> Result<Self, FaceError> {
        let bytes = std::fs::read(path).map_err(|source| FaceError::Unreadable {
            role,
            path: path.to_owned(),
            source,
        })?;
        let digest = Sha256::digest(&bytes).into();
        let model = Model::load(bytes).map_err(|error| FaceError::NotOnnx {
            role,
            path: path.to_owned(),
            reason: error.to_string(),
        })?;
        let wrong =
            |found: String| FaceError::WrongShape { role, path: path.to_owned(), found, wanted: IMAGE_INPUT };
        let &[input] = model.input_ids() else {
            return Err(wrong(format!("{} inputs", model.input_ids().len())));
        };
        let shape = model.input_shape(0).ok_or_else(|| wrong("an input without a shape".to_owned()))?;
        let input_sides =
            image_sides(&shape).ok_or_else(|| wrong(format!("an input of the shape {shape:?}")))?;
        Ok(Self { model, role, path: path.to_owned(), digest, input, input_sides })
    }

    /// The sides of the input (batch, channels, height, width) that the file fixes.
    pub(crate) fn input_sides(&self) -> [Option<usize>; 4] {
        self.input_sides
    }

    /// SHA-256 of the file.
    pub(crate) fn digest(&self) -> [u8; 32] {
        self.digest
    }

    /// The outputs, in the file's order.
    pub(crate) fn outputs(&self) -> &[NodeId] {
        self.model.output_ids()
    }

    /// The output of this name.
    pub(crate) fn output(&self, name: &str) -> Option<NodeId> {
        let named = |id: &&NodeId| self.model.node_info(**id).and_then(|info| info.name()) == Some(name);
        self.model.output_ids().iter().find(named).copied()
    }

    /// Runs the network on one tensor; each output with its shape.
    pub(crate) fn run(
        &self,
        shape: [usize; 4],
        data: Vec<f32>,
        outputs: &[NodeId],
    ) -> Result<Vec<Output>, FaceError> {
        let input = Value::from_shape(shape, data).map_err(|error| self.failed(error.to_string()))?;
        let values = self
            .model
            .run(vec![(self.input, input.into())], outputs, None)
            .map_err(|error| self.failed(error.to_string()))?;
        values.into_iter().map(|value| self.floats(value)).collect()
    }

    fn floats(&self, value: Value) -> Result<Output, FaceError> {
        let kind = value.dtype();
        let tensor =
            value.into_tensor::<f32>().ok_or_else(|| self.failed(format!("an output is {kind}, not f32")))?;
        Ok(Output { shape: tensor.shape().to_vec(), values: tensor.into_data() })
    }

    pub(crate) fn failed(&self, reason: impl Into<String>) -> FaceError {
        FaceError::Failed { role: self.role, path: self.path.clone(), reason: reason.into() }
    }

    pub(crate) fn wrong_shape(&self, found: impl Into<String>, wanted: &'static str) -> FaceError {
        FaceError::WrongShape { role: self.role, path: self.path.clone(), found: found.into(), wanted }
    }
}

impl std::fmt::Debug for Network {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Network({} {})", self.role, self.path.display())
    }
}

/// `None` where it is no batch of pictures with three channels.
fn image_sides(shape: &[Dimension]) -> Option<[Option<usize>; 4]> {
    let side = |dimension: &Dimension| match dimension {
        Dimension::Fixed(side) => Some(*side),
        Dimension::Symbolic(_) => None,
    };
    let &[batch, channels, height, width] = shape.iter().map(side).collect::<Vec<_>>().as_slice() else {
        return None;
    };
    channels.is_none_or(|channels| channels == 3).then_some([batch, channels, height, width])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_has_four_sides_and_three_channels() {
        let fixed = Dimension::Fixed;
        let free = || Dimension::Symbolic("n".to_owned());
        assert_eq!(
            image_sides(&[free(), fixed(3), free(), fixed(112)]),
            Some([None, Some(3), None, Some(112)])
        );
        assert_eq!(image_sides(&[free(), fixed(1), free(), free()]), None);
        assert_eq!(image_sides(&[free(), fixed(3), free()]), None);
    }

    #[test]
    fn files_that_are_no_network_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let said = |path: &Path| Network::load(path, NetworkRole::Detector).unwrap_err();
        let missing = said(&folder.path().join("missing.onnx"));
        assert!(matches!(missing, FaceError::Unreadable { .. }), "{missing}");
        assert!(missing.to_string().contains("missing.onnx cannot be read"), "{missing}");
        assert!(missing.to_string().contains("face_detection_yunet"), "{missing}");
        for (name, bytes) in [
            ("text.onnx", b"these are words, and many of them, but no network".as_slice()),
            ("empty.onnx", b""),
            ("page.onnx", b"<!DOCTYPE html><html><body>404</body></html>"),
            ("picture.onnx", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"),
            ("pointer.onnx", b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n"),
        ] {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            let error = said(&path);
            assert!(matches!(error, FaceError::NotOnnx { .. }), "{name}: {error}");
            assert!(error.to_string().contains("is not an ONNX file"), "{error}");
        }
    }
}
