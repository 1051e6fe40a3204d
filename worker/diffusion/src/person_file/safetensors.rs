//! The two safetensors layouts: diffusers (the tensor is named by the placeholder) and kohya
//! (`emb_params`).
//!
//! Files are written by hand, eight bytes of length and a JSON header, so that equal persons give equal
//! bytes: the library's writer orders metadata at random.

use std::collections::BTreeMap;

use half::{bf16, f16};
use safetensors::{Dtype, SafeTensors};
use serde_json::{Map, Value, json};

use super::{MAX_VECTORS, MAX_WIDTH, PersonFile, PersonFileError, keys, metadata, rows};

const KOHYA_NAME: &str = "emb_params";
const DEFAULT_PLACEHOLDER: &str = "<person>";
/// Tensor names of embeddings for models with several text encoders.
const PAIR_NAMES: [&str; 3] = ["clip_l", "clip_g", "t5xxl"];

pub(super) fn read(bytes: &[u8]) -> Result<PersonFile, PersonFileError> {
    let looks_like_it = bytes.len() > 8 && bytes.get(8) == Some(&b'{');
    let broken = |error: safetensors::SafeTensorError| {
        if looks_like_it {
            PersonFileError::Damaged(format!("its safetensors header cannot be read ({error})"))
        } else {
            PersonFileError::NotAPersonFile("its first bytes are of no known format".to_owned())
        }
    };
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(broken)?;
    let tensors = SafeTensors::deserialize(bytes).map_err(broken)?;
    let mut names: Vec<&str> = tensors.names();
    names.sort_unstable();
    if let Some(found) = names.iter().find(|name| PAIR_NAMES.contains(name)) {
        return Err(PersonFileError::Sdxl { found: (*found).to_owned() });
    }
    let [name] = names.as_slice() else {
        let shown = names.iter().take(5).copied().collect::<Vec<_>>().join(", ");
        return Err(PersonFileError::Tensors { count: names.len(), names: shown });
    };
    let view = tensors.tensor(name).map_err(broken)?;
    let (count, width) = match *view.shape() {
        [width] => (1, width),
        [count, width] => (count, width),
        _ => return Err(PersonFileError::Shape { shape: view.shape().to_vec() }),
    };
    if count == 0 || count > MAX_VECTORS || width == 0 || width > MAX_WIDTH {
        return Err(PersonFileError::Shape { shape: view.shape().to_vec() });
    }
    let flat = numbers(view.dtype(), view.data())?;
    let entries = header.metadata().iter().flatten().map(|(key, value)| (key.clone(), value.clone()));
    let mut metadata = metadata::bounded(entries.filter(|(key, _)| key != "format"));
    let noted = metadata.remove(keys::PLACEHOLDER);
    let placeholder = if *name == KOHYA_NAME { noted } else { Some((*name).to_owned()) };
    Ok(PersonFile { placeholder, vectors: rows(&flat, width), metadata })
}

fn numbers(dtype: Dtype, data: &[u8]) -> Result<Vec<f32>, PersonFileError> {
    Ok(match dtype {
        Dtype::F32 => data.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect(),
        Dtype::F64 => data.as_chunks().0.iter().map(|bytes| f64::from_le_bytes(*bytes) as f32).collect(),
        Dtype::F16 => data.as_chunks().0.iter().map(|bytes| f16::from_le_bytes(*bytes).to_f32()).collect(),
        Dtype::BF16 => data.as_chunks().0.iter().map(|bytes| bf16::from_le_bytes(*bytes).to_f32()).collect(),
        other => return Err(PersonFileError::Type(format!("{other:?}"))),
    })
}

pub(super) fn write_diffusers(person: &PersonFile) -> Vec<u8> {
    let name = person.placeholder.as_deref().unwrap_or(DEFAULT_PLACEHOLDER);
    // A tensor cannot be named as the header's own entry, nor as the other layout's tensor.
    let reserved = name == "__metadata__" || name == KOHYA_NAME || PAIR_NAMES.contains(&name);
    write(person, if reserved { DEFAULT_PLACEHOLDER } else { name }, person.metadata.clone())
}

pub(super) fn write_kohya(person: &PersonFile) -> Vec<u8> {
    let mut metadata = person.metadata.clone();
    if let Some(placeholder) = &person.placeholder {
        metadata.insert(keys::PLACEHOLDER.to_owned(), placeholder.clone());
    }
    write(person, KOHYA_NAME, metadata)
}

fn write(person: &PersonFile, name: &str, mut metadata: BTreeMap<String, String>) -> Vec<u8> {
    metadata.insert("format".to_owned(), "pt".to_owned());
    let data: Vec<u8> = person.vectors.iter().flatten().flat_map(|number| number.to_le_bytes()).collect();
    let shape = [person.vectors.len(), person.width()];
    let mut header = Map::new();
    header.insert("__metadata__".to_owned(), json!(metadata));
    header.insert(name.to_owned(), json!({"dtype": "F32", "shape": shape, "data_offsets": [0, data.len()]}));
    let mut header = Value::Object(header).to_string().into_bytes();
    header.resize(header.len().next_multiple_of(8), b' ');
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header);
    file.extend(data);
    file
}
