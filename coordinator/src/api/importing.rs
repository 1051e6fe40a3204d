//! What is in a learned-person file that somebody brings: one tensor `[K, D]` (or `[D]`, K = 1) in a safetensors
//! file. Only the header is believed after the format's own reader has checked it; the numbers are for the worker.

use likeness_shared::errors::ServiceError;
use likeness_shared::ids::{Digest, PersonName, RequestId};
use likeness_shared::limits::{Checks, DEFAULT_PLACEHOLDER};
use likeness_shared::proto::ImportPersonRequest;
use prost::Message;
use safetensors::{Dtype, SafeTensors};

use super::{Shared, listing, wire};
use crate::store::{LearnedPerson, NewPerson};

/// Largest learned-person file, in bytes: 16 vectors of width 8192 in f32 and a generous header.
const MAX_FILE_BYTES: u64 = 1024 * 1024;
/// Vectors of one person, at most.
pub(super) const MAX_VECTORS: usize = 16;
/// Width of a vector, at most.
const MAX_WIDTH: usize = 8192;
/// The metadata key under which our own files name their model.
const BASE_MODEL_KEY: &str = "likeness.base_model";

/// The person that a request describes.
pub(super) async fn new_person(
    shared: &Shared,
    request: ImportPersonRequest,
) -> Result<NewPerson, ServiceError> {
    let body = ImportPersonRequest { request_id: String::new(), ..request.clone() };
    let body = Digest::of(&body.encode_to_vec());
    let mut checks = Checks::new();
    let owner = wire::owner(&request.tenant, &request.user, &mut checks);
    let id: Option<RequestId> = checks.parse("request_id", &request.request_id);
    let name: Option<PersonName> = checks.parse("name", &request.name);
    let artifact: Option<Digest> = checks.parse("artifact_digest", &request.artifact_digest);
    if !request.placeholder.is_empty() {
        checks.placeholder("placeholder", &request.placeholder);
    }
    checks.finish()?;
    let artifact = wire::checked(artifact)?;
    listing::require_artifacts(shared, &[artifact]).await?;
    let size = shared.artifacts.info(artifact).await?.size;
    let unfit = |problem: String| ServiceError::invalid("artifact_digest", format!("{artifact}: {problem}"));
    if size > MAX_FILE_BYTES {
        return Err(unfit(format!("has {size} bytes, and a learned person has at most {MAX_FILE_BYTES}")));
    }
    let bytes = shared.artifacts.read(artifact, 0, size).await?;
    let found = examine(&bytes).map_err(unfit)?;
    let placeholder = if request.placeholder.is_empty() { found.placeholder } else { request.placeholder };
    let learned = LearnedPerson {
        artifact,
        vectors: found.vectors,
        width: found.width,
        model_digest: found.model_digest,
        quality: None,
    };
    Ok(NewPerson {
        owner: wire::checked(owner)?,
        request: wire::checked(id)?,
        body,
        name: wire::checked(name)?,
        placeholder,
        learned,
    })
}

#[derive(Debug, PartialEq, Eq)]
struct Found {
    vectors: u32,
    width: u32,
    placeholder: String,
    model_digest: String,
}

/// What the file holds, or what is wrong with it and what it would have to be.
fn examine(bytes: &[u8]) -> Result<Found, String> {
    let expected = "a learned person is a safetensors file of one tensor [K, D]";
    let tensors = SafeTensors::deserialize(bytes)
        .map_err(|error| format!("is no safetensors file ({error}); {expected}"))?;
    let mut entries = tensors.iter();
    let (Some((name, tensor)), None) = (entries.next(), entries.next()) else {
        return Err(format!("holds {} tensors; {expected}", tensors.len()));
    };
    let (vectors, width) = match tensor.shape() {
        [width] => (1, *width),
        [vectors, width] => (*vectors, *width),
        shape => return Err(format!("tensor {name:?} has the shape {shape:?}; {expected}")),
    };
    if !(1..=MAX_VECTORS).contains(&vectors) || !(1..=MAX_WIDTH).contains(&width) {
        return Err(format!(
            "tensor {name:?} holds {vectors} vectors of width {width}; at most {MAX_VECTORS} of width {MAX_WIDTH} \
             are taken"
        ));
    }
    if !matches!(tensor.dtype(), Dtype::F32 | Dtype::F16 | Dtype::BF16) {
        return Err(format!("tensor {name:?} is {:?}; F32, F16 or BF16 are taken", tensor.dtype()));
    }
    let mut placeholder_checks = Checks::new();
    placeholder_checks.placeholder("placeholder", name);
    let usable = placeholder_checks.finish().is_ok() && name != "emb_params";
    Ok(Found {
        vectors: u32::try_from(vectors).unwrap_or(u32::MAX),
        width: u32::try_from(width).unwrap_or(u32::MAX),
        placeholder: if usable { name.to_owned() } else { DEFAULT_PLACEHOLDER.to_owned() },
        model_digest: model_digest(bytes),
    })
}

/// The model's digest, where the file names one.
fn model_digest(bytes: &[u8]) -> String {
    let named = SafeTensors::read_metadata(bytes).ok().and_then(|(_, header)| {
        let metadata = header.metadata().as_ref()?;
        metadata.get(BASE_MODEL_KEY).cloned()
    });
    named.filter(|digest| digest.parse::<Digest>().is_ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use safetensors::tensor::TensorView;

    use super::*;

    fn file(tensors: &[(&str, Dtype, Vec<usize>)], metadata: Option<HashMap<String, String>>) -> Vec<u8> {
        let data = vec![0; 1 << 16];
        let views = tensors.iter().map(|(name, dtype, shape)| {
            let bytes = shape.iter().product::<usize>() * dtype.bitsize() / 8;
            ((*name).to_owned(), TensorView::new(*dtype, shape.clone(), &data[..bytes]).unwrap())
        });
        safetensors::serialize(views, metadata).unwrap()
    }

    #[test]
    fn a_person_file_is_understood() {
        let digest = Digest::of(b"model").to_string();
        let metadata = HashMap::from([(BASE_MODEL_KEY.to_owned(), digest.clone())]);
        let bytes = file(&[("<anna>", Dtype::F32, vec![2, 64])], Some(metadata));
        let expected =
            Found { vectors: 2, width: 64, placeholder: "<anna>".to_owned(), model_digest: digest };
        assert_eq!(examine(&bytes), Ok(expected));
        let single = examine(&file(&[("emb_params", Dtype::F16, vec![768])], None)).unwrap();
        assert_eq!((single.vectors, single.width, single.placeholder.as_str()), (1, 768, "sks"));
    }

    #[test]
    fn what_is_no_person_is_said() {
        let cases = [
            (b"garbage".to_vec(), "no safetensors"),
            (Vec::new(), "no safetensors"),
            (vec![0xff; 64], "no safetensors"),
            (file(&[("a", Dtype::F32, vec![8]), ("b", Dtype::F32, vec![8])], None), "2 tensors"),
            (file(&[("a", Dtype::F32, vec![2, 2, 2])], None), "[2, 2, 2]"),
            (file(&[("a", Dtype::F32, vec![17, 8])], None), "17 vectors"),
            (file(&[("a", Dtype::I64, vec![2, 8])], None), "I64"),
        ];
        for (bytes, expected) in cases {
            let problem = examine(&bytes).unwrap_err();
            assert!(problem.contains(expected), "{problem:?} should mention {expected:?}");
        }
        let mut cut = file(&[("a", Dtype::F32, vec![2, 64])], None);
        cut.truncate(cut.len() - 1);
        assert!(examine(&cut).is_err());
    }
}
