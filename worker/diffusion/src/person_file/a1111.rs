//! The `.pt` of the AUTOMATIC1111 web UI: a zip with a pickle (`data.pkl`) and raw numbers (`data/0`).
//!
//! The pickle's dictionary has `string_to_param["*"]` (the vectors), `name` and `step`. Also read: the
//! dictionary of one tensor under its placeholder that older diffusers scripts saved (`.bin`).

use std::collections::BTreeMap;
use std::io::{Cursor, Read, Write};

use half::{bf16, f16};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use super::pickle::{self, Document, Node, Storage, StorageType, Tensor};
use super::{MAX_FILE_BYTES, MAX_VECTORS, MAX_WIDTH, PersonFile, PersonFileError, keys, metadata, rows};

/// torch writes about ten entries.
const MAX_ENTRIES: usize = 64;
/// A real one has some 300 bytes.
const MAX_PICKLE_BYTES: usize = 1 << 20;
/// The entry under which this project's metadata travels; other programs ignore it.
const OWN_ENTRY: &str = "likeness";

type Archive<'a> = ZipArchive<Cursor<&'a [u8]>>;

fn damaged(error: impl std::fmt::Display) -> PersonFileError {
    PersonFileError::Damaged(error.to_string())
}

pub(super) fn read(bytes: &[u8]) -> Result<PersonFile, PersonFileError> {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(damaged)?;
    if archive.len() > MAX_ENTRIES {
        return Err(PersonFileError::Damaged(format!("it is a zip with {} entries", archive.len())));
    }
    let names: Vec<String> =
        archive.file_names().filter_map(Result::ok).map(|name| name.into_owned()).collect();
    let Some(root) = names.iter().find_map(|name| name.strip_suffix("data.pkl")) else {
        return Err(PersonFileError::NotAPersonFile("it is a zip without data.pkl".to_owned()));
    };
    let byte_order = format!("{root}byteorder");
    if names.contains(&byte_order) && entry(&mut archive, &byte_order, 16)? != b"little" {
        return Err(PersonFileError::Type("big-endian numbers".to_owned()));
    }
    let program = entry(&mut archive, &format!("{root}data.pkl"), MAX_PICKLE_BYTES)?;
    let document = pickle::read(&program).map_err(PersonFileError::Pickle)?;
    let found = locate(&document)?;
    let vectors = vectors(&mut archive, root, found.tensor)?;
    Ok(PersonFile { placeholder: found.placeholder, vectors, metadata: found.metadata })
}

/// An entry's bytes. The limit is on what comes out, whatever the zip declares.
fn entry(archive: &mut Archive<'_>, name: &str, limit: usize) -> Result<Vec<u8>, PersonFileError> {
    let file = archive.by_name(name).map_err(damaged)?;
    let mut bytes = Vec::new();
    file.take(limit as u64 + 1).read_to_end(&mut bytes).map_err(damaged)?;
    if bytes.len() > limit {
        return Err(PersonFileError::TooLarge { bytes: bytes.len(), limit });
    }
    Ok(bytes)
}

struct Found<'a> {
    tensor: &'a Tensor,
    placeholder: Option<String>,
    metadata: BTreeMap<String, String>,
}

fn locate(document: &Document) -> Result<Found<'_>, PersonFileError> {
    let strange = |what: &str| PersonFileError::NotAPersonFile(format!("its pickle {what}"));
    let top = document.root();
    let entries = document.entries(top).ok_or_else(|| strange("is not a dictionary"))?;
    if let Some(found) =
        entries.iter().find_map(|(key, _)| key.filter(|key| ["clip_l", "clip_g"].contains(key)))
    {
        return Err(PersonFileError::Sdxl { found: found.to_owned() });
    }
    let text = |key: &str| document.get(top, key).and_then(Node::as_text).map(str::to_owned);
    if let Some(parameters) = document.get(top, "string_to_param") {
        let parameters = document.get(parameters, "_parameters").unwrap_or(parameters);
        let tensors = document.entries(parameters).ok_or_else(|| strange("has no string_to_param[\"*\"]"))?;
        let [(_, only)] = tensors.as_slice() else {
            return Err(PersonFileError::Tensors {
                count: tensors.len(),
                names: "string_to_param".to_owned(),
            });
        };
        let Node::Tensor(tensor) = only else { return Err(strange("has no tensor in string_to_param")) };
        let own = document.get(top, OWN_ENTRY).and_then(|own| document.entries(own)).unwrap_or_default();
        let own =
            own.into_iter().filter_map(|(key, value)| Some((key?.to_owned(), value.as_text()?.to_owned())));
        let mut metadata = metadata::bounded(own);
        if let Some(Node::Integer(steps)) = document.get(top, "step") {
            metadata.entry(keys::STEPS.to_owned()).or_insert_with(|| steps.to_string());
        }
        for key in ["sd_checkpoint", "sd_checkpoint_name"] {
            if let Some(value) = text(key) {
                metadata.entry(key.to_owned()).or_insert(value);
            }
        }
        let placeholder = text("name").filter(|name| !name.is_empty());
        return Ok(Found { tensor, placeholder, metadata });
    }
    match entries.as_slice() {
        [(Some(name), Node::Tensor(tensor))] => {
            Ok(Found { tensor, placeholder: Some((*name).to_owned()), metadata: BTreeMap::new() })
        }
        _ => Err(strange("has neither string_to_param nor one tensor under its placeholder")),
    }
}

/// The tensor's rows, by its strides, out of its storage.
fn vectors(archive: &mut Archive<'_>, root: &str, tensor: &Tensor) -> Result<Vec<Vec<f32>>, PersonFileError> {
    let shape_error = || PersonFileError::Shape { shape: tensor.shape.clone() };
    let (count, width, row_stride, stride) = match (tensor.shape.as_slice(), tensor.strides.as_slice()) {
        (&[width], &[stride]) => (1, width, 0, stride),
        (&[count, width], &[row_stride, stride]) => (count, width, row_stride, stride),
        _ => return Err(shape_error()),
    };
    if count == 0 || count > MAX_VECTORS || width == 0 || width > MAX_WIDTH {
        return Err(shape_error());
    }
    let Storage { kind, key, .. } = &tensor.storage;
    let bytes = entry(archive, &format!("{root}data/{key}"), MAX_FILE_BYTES)?;
    let stored = numbers(*kind, &bytes);
    let place = |row: usize, column: usize| {
        let place = row.checked_mul(row_stride)?.checked_add(column.checked_mul(stride)?)?;
        stored.get(tensor.offset.checked_add(place)?).copied()
    };
    let flat: Option<Vec<f32>> =
        (0..count * width).map(|index| place(index / width, index % width)).collect();
    let flat = flat.ok_or_else(|| {
        let (have, shape) = (stored.len(), &tensor.shape);
        PersonFileError::Damaged(format!("data/{key} has {have} numbers, too few for a tensor of {shape:?}"))
    })?;
    Ok(rows(&flat, width))
}

fn numbers(kind: StorageType, data: &[u8]) -> Vec<f32> {
    match kind {
        StorageType::Float => data.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect(),
        StorageType::Double => {
            data.as_chunks().0.iter().map(|bytes| f64::from_le_bytes(*bytes) as f32).collect()
        }
        StorageType::Half => {
            data.as_chunks().0.iter().map(|bytes| f16::from_le_bytes(*bytes).to_f32()).collect()
        }
        StorageType::BFloat16 => {
            data.as_chunks().0.iter().map(|bytes| bf16::from_le_bytes(*bytes).to_f32()).collect()
        }
    }
}

pub(super) fn write(person: &PersonFile) -> Result<Vec<u8>, PersonFileError> {
    let numbers: Vec<u8> = person.vectors.iter().flatten().flat_map(|number| number.to_le_bytes()).collect();
    let program = pickle::write_embedding(&pickle::Embedding {
        name: person.placeholder.as_deref().unwrap_or_default(),
        steps: person.metadata.get(keys::STEPS).and_then(|steps| steps.parse().ok()).unwrap_or(0),
        shape: [person.vectors.len(), person.width()],
        own_entry: OWN_ENTRY,
        metadata: &person.metadata,
    });
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    // torch reads entries where they lie: stored, and aligned for its memory map.
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .with_alignment(64)
        .last_modified_time(zip::DateTime::default());
    for (name, bytes) in [
        ("data.pkl", program.as_slice()),
        ("byteorder", b"little"),
        ("data/0", numbers.as_slice()),
        ("version", b"3\n"),
    ] {
        archive.start_file(format!("person/{name}"), options).map_err(damaged)?;
        archive.write_all(bytes).map_err(damaged)?;
    }
    Ok(archive.finish().map_err(damaged)?.into_inner())
}
