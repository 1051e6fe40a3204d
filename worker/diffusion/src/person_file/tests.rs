//! Person files: the reference's, our own in all formats, and broken ones.

use std::collections::BTreeMap;
use std::io::{Cursor, Write};

use half::{bf16, f16};
use proptest::prelude::*;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::*;
use crate::schedule::reference::{FOLDERS, root};

fn reference(folder: &str, name: &str) -> Vec<u8> {
    std::fs::read(root().join(folder).join("ref/embeddings").join(name)).unwrap()
}

fn person() -> PersonFile {
    let vectors = vec![vec![0.25, -1.5, 3.0e-8, 4.0], vec![1.0, 0.0, -0.1, 7.5]];
    let metadata = [
        (keys::BASE_MODEL, "ab12"),
        (keys::STEPS, "400"),
        (keys::START, "face"),
        ("note", "Zo\u{eb} \u{2764}"),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()));
    PersonFile::new(Some("sks".to_owned()), vectors, metadata.into()).unwrap()
}

/// A safetensors file of one or more tensors, made by hand.
fn raw_safetensors(tensors: &[(&str, &str, &[usize], &[u8])]) -> Vec<u8> {
    let mut header = serde_json::Map::new();
    let mut data = Vec::new();
    for (name, dtype, shape, bytes) in tensors {
        let offsets = [data.len(), data.len() + bytes.len()];
        header.insert(
            (*name).to_owned(),
            serde_json::json!({"dtype": dtype, "shape": shape, "data_offsets": offsets}),
        );
        data.extend_from_slice(bytes);
    }
    let header = serde_json::Value::Object(header).to_string();
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &data].concat()
}

fn zip_of(entries: &[(&str, &[u8])], method: CompressionMethod) -> Vec<u8> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in entries {
        archive.start_file(*name, SimpleFileOptions::default().compression_method(method)).unwrap();
        archive.write_all(bytes).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

#[test]
fn the_references_three_files_hold_the_same_person() {
    for folder in FOLDERS {
        let diffusers = PersonFile::read(&reference(folder, "learned_embeds.safetensors")).unwrap();
        let kohya = PersonFile::read(&reference(folder, "face_a1111.safetensors")).unwrap();
        let a1111 = PersonFile::read(&reference(folder, "face_a1111.pt")).unwrap();
        assert_eq!(diffusers.vectors.len(), 2);
        assert_eq!(diffusers.vectors, kohya.vectors, "{folder}");
        assert_eq!(diffusers.vectors, a1111.vectors, "{folder}");
        assert_eq!(diffusers.placeholder.as_deref(), Some("<face>"));
        assert_eq!(kohya.placeholder, None);
        assert_eq!(a1111.placeholder.as_deref(), Some("<face>"));
        assert_eq!(a1111.metadata.get(keys::STEPS).map(String::as_str), Some("12"));
        assert!(diffusers.metadata.is_empty());
    }
}

#[test]
fn every_format_gives_the_person_back_and_the_same_bytes_again() {
    let person = person();
    for file in [person.write_diffusers(), person.write_kohya(), person.write_a1111()] {
        let file = file.unwrap();
        let read = PersonFile::read(&file).unwrap();
        assert_eq!(read, person);
    }
    assert_eq!(person.write_diffusers().unwrap(), person.write_diffusers().unwrap());
    assert_eq!(person.write_a1111().unwrap(), person.write_a1111().unwrap());
}

#[test]
fn a_person_without_a_placeholder_is_still_a_file() {
    let person = PersonFile { placeholder: None, metadata: BTreeMap::new(), ..person() };
    let named = PersonFile::read(&person.write_diffusers().unwrap()).unwrap();
    assert_eq!(named.placeholder.as_deref(), Some("<person>"));
    assert_eq!(PersonFile::read(&person.write_kohya().unwrap()).unwrap(), person);
    assert_eq!(PersonFile::read(&person.write_a1111().unwrap()).unwrap().placeholder, None);
}

#[test]
fn shorter_numbers_are_widened_and_one_row_may_stand_alone() {
    let values = [0.5f32, -2.0, 1.0, 0.25];
    let halves: Vec<u8> = values.iter().flat_map(|v| f16::from_f32(*v).to_le_bytes()).collect();
    let brains: Vec<u8> = values.iter().flat_map(|v| bf16::from_f32(*v).to_le_bytes()).collect();
    let doubles: Vec<u8> = values.iter().flat_map(|v| f64::from(*v).to_le_bytes()).collect();
    for (dtype, bytes) in [("F16", halves), ("BF16", brains), ("F64", doubles)] {
        let two = PersonFile::read(&raw_safetensors(&[("emb_params", dtype, &[2, 2], &bytes)])).unwrap();
        assert_eq!(two.vectors, [[0.5, -2.0], [1.0, 0.25]]);
        let one = PersonFile::read(&raw_safetensors(&[("<x>", dtype, &[4], &bytes)])).unwrap();
        assert_eq!(one.vectors, [values]);
    }
}

#[test]
fn files_for_other_models_are_refused_with_the_reason() {
    let bytes = [0u8; 16];
    let pair = raw_safetensors(&[("clip_g", "F32", &[1, 4], &bytes), ("clip_l", "F32", &[1, 4], &bytes)]);
    let message = PersonFile::read(&pair).unwrap_err().to_string();
    assert!(message.contains("SDXL"), "{message}");
    let two = raw_safetensors(&[("a", "F32", &[1, 4], &bytes), ("b", "F32", &[1, 4], &bytes)]);
    assert!(matches!(PersonFile::read(&two), Err(PersonFileError::Tensors { count: 2, .. })));
    assert_eq!(person().check_width(4), Ok(()));
    let message = person().check_width(1024).unwrap_err().to_string();
    assert!(message.contains("width 4") && message.contains("1024"), "{message}");
}

#[test]
fn senseless_numbers_are_refused() {
    let file = |values: &[f32], shape: &[usize]| {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        PersonFile::read(&raw_safetensors(&[("<x>", "F32", shape, &bytes)]))
    };
    assert_eq!(file(&[1.0, f32::NAN], &[1, 2]), Err(PersonFileError::NotFinite { index: 0, position: 1 }));
    assert_eq!(file(&[1.0, 1.0, 0.0, 0.0], &[2, 2]), Err(PersonFileError::Zero { index: 1 }));
    assert!(matches!(file(&[1.0; 8], &[2, 2, 2]), Err(PersonFileError::Shape { .. })));
    assert!(matches!(file(&[1.0; 76], &[76, 1]), Err(PersonFileError::Shape { .. })));
    assert!(matches!(file(&[1.0; 8193], &[1, 8193]), Err(PersonFileError::Shape { .. })));
    assert!(matches!(file(&[], &[0, 4]), Err(PersonFileError::Shape { .. })));
    let integers = raw_safetensors(&[("<x>", "I32", &[1, 2], &[1; 8])]);
    assert!(matches!(PersonFile::read(&integers), Err(PersonFileError::Type(_))));
    let uneven = PersonFile::new(None, vec![vec![1.0], vec![1.0, 2.0]], BTreeMap::new());
    assert!(matches!(uneven, Err(PersonFileError::Uneven { index: 1, .. })));
}

#[test]
fn what_is_no_person_file_is_said_to_be_none() {
    let bare = PersonFile::read(b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.").unwrap_err();
    assert_eq!(bare, PersonFileError::BarePickle);
    assert!(matches!(PersonFile::read(b"hello"), Err(PersonFileError::NotAPersonFile(_))));
    assert!(matches!(PersonFile::read(b""), Err(PersonFileError::NotAPersonFile(_))));
    let zip = zip_of(&[("readme.txt", b"hello")], CompressionMethod::Stored);
    assert!(matches!(PersonFile::read(&zip), Err(PersonFileError::NotAPersonFile(_))));
    let huge = vec![0; MAX_FILE_BYTES + 1];
    assert!(matches!(PersonFile::read(&huge), Err(PersonFileError::TooLarge { .. })));
}

#[test]
fn a_hostile_pickle_is_refused_unrun() {
    let program = b"\x80\x02cos\nsystem\nX\x04\x00\x00\x00echo\x85R.";
    let zip = zip_of(&[("x/data.pkl", program)], CompressionMethod::Stored);
    let message = PersonFile::read(&zip).unwrap_err().to_string();
    assert!(message.contains("os.system") && message.contains("nothing of it was run"), "{message}");
}

#[test]
fn a_zip_bomb_is_stopped_at_the_limit() {
    let zeros = vec![0u8; 32 << 20];
    let zip = zip_of(&[("x/data.pkl", &zeros)], CompressionMethod::Deflated);
    assert!(zip.len() < 100_000);
    assert!(matches!(PersonFile::read(&zip), Err(PersonFileError::TooLarge { .. })));
    let many: Vec<(String, &[u8])> = (0..65).map(|index| (format!("x/{index}"), &b""[..])).collect();
    let many: Vec<(&str, &[u8])> = many.iter().map(|(name, bytes)| (name.as_str(), *bytes)).collect();
    assert!(PersonFile::read(&zip_of(&many, CompressionMethod::Stored)).is_err());
}

#[test]
fn a_storage_that_is_too_short_is_damage() {
    let program = pickle::write_embedding(&pickle::Embedding {
        name: "x",
        steps: 0,
        shape: [2, 4],
        own_entry: "likeness",
        metadata: &BTreeMap::new(),
    });
    let zip = zip_of(&[("x/data.pkl", &program), ("x/data/0", &[0; 28])], CompressionMethod::Stored);
    assert!(matches!(PersonFile::read(&zip), Err(PersonFileError::Damaged(_))));
    let none = zip_of(&[("x/data.pkl", &program)], CompressionMethod::Stored);
    assert!(matches!(PersonFile::read(&none), Err(PersonFileError::Damaged(_))));
    let order = [("x/data.pkl", program.as_slice()), ("x/byteorder", b"big"), ("x/data/0", &[0; 32])];
    assert!(matches!(
        PersonFile::read(&zip_of(&order, CompressionMethod::Stored)),
        Err(PersonFileError::Type(_))
    ));
}

/// A dictionary of one tensor under its placeholder, and a tensor that is a parameter in a ParameterDict.
#[test]
fn older_layouts_of_pickles_are_read() {
    let storage = b"((X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x04tQK\x00K\x02K\x02\x86K\x02K\x01\x86\x89ccollections\nOrderedDict\n)Rt";
    let tensor = [b"ctorch._utils\n_rebuild_tensor_v2\n".as_slice(), storage, b"R"].concat();
    let plain = [b"\x80\x02}X\x03\x00\x00\x00<x>".as_slice(), &tensor, b"s."].concat();
    let parameter =
        [b"ctorch._utils\n_rebuild_parameter\n(".as_slice(), &tensor, b"\x88ccollections\nOrderedDict\n)RtR"]
            .concat();
    let module = [
        b"\x80\x02}X\x0f\x00\x00\x00string_to_paramctorch.nn.modules.container\nParameterDict\n)\x81}(X\x08\x00\x00\x00training\x88X\x0b\x00\x00\x00_parametersccollections\nOrderedDict\n)RX\x01\x00\x00\x00*".as_slice(),
        &parameter,
        b"sX\x04\x00\x00\x00_setc__builtin__\nset\n]\x85Rubs.",
    ]
    .concat();
    let numbers: Vec<u8> = [1.0f32, 2.0, 3.0, 4.0].iter().flat_map(|value| value.to_le_bytes()).collect();
    for (program, placeholder) in [(plain, Some("<x>")), (module, None)] {
        let zip = zip_of(&[("a/data.pkl", &program), ("a/data/0", &numbers)], CompressionMethod::Deflated);
        let person = PersonFile::read(&zip).unwrap();
        assert_eq!(person.vectors, [[1.0, 2.0], [3.0, 4.0]]);
        assert_eq!(person.placeholder.as_deref(), placeholder);
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = PersonFile::read(&bytes);
        let _ = PersonFile::read(&[b"PK\x03\x04".as_slice(), &bytes].concat());
    }

    #[test]
    fn damage_anywhere_never_panics(which in 0..3usize, place in any::<prop::sample::Index>(), value in any::<u8>()) {
        let person = person();
        let mut file = match which {
            0 => person.write_diffusers(),
            1 => person.write_kohya(),
            _ => person.write_a1111(),
        }.unwrap();
        let place = place.index(file.len());
        file[place] = value;
        let _ = PersonFile::read(&file);
        let _ = PersonFile::read(&file[..place]);
    }

    #[test]
    fn every_person_survives_every_format(
        vectors in (1..6usize, 1..20usize).prop_flat_map(|(count, width)| {
            let number = prop::num::f32::NORMAL;
            proptest::collection::vec(proptest::collection::vec(number, width), count)
        }),
        placeholder in proptest::option::of("[a-z<>_ ]{1,12}"),
        metadata in proptest::collection::btree_map("[a-z.]{1,12}", "\\PC{0,20}", 0..5),
    ) {
        let metadata: BTreeMap<String, String> = metadata.into_iter().filter(|(key, _)| key != "format").collect();
        let person = PersonFile::new(placeholder, vectors, metadata).unwrap();
        let kohya = PersonFile::read(&person.write_kohya().unwrap()).unwrap();
        prop_assert_eq!(&kohya, &person);
        let diffusers = PersonFile::read(&person.write_diffusers().unwrap()).unwrap();
        prop_assert_eq!(&diffusers.vectors, &person.vectors);
        prop_assert_eq!(&diffusers.metadata, &person.metadata);
        let a1111 = PersonFile::read(&person.write_a1111().unwrap()).unwrap();
        prop_assert_eq!(&a1111.vectors, &person.vectors);
        prop_assert_eq!(&a1111.placeholder, &person.placeholder);
    }
}
