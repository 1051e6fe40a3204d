//! Token ids, exactly.

use likeness_diffusion::{Placeholder, PromptTokenizer};

use crate::folder;

#[test]
fn prompts_become_the_reference_ids() {
    for folder in folder::all() {
        let tokenizer = PromptTokenizer::open(&folder.model().join("tokenizer")).unwrap();
        check_prompts(&folder, &tokenizer);
    }
}

#[test]
fn a_lone_tokenizer_json_serves_as_well() {
    let mut seen = 0;
    for folder in folder::all() {
        let source = folder.model().join("tokenizer");
        if !source.join("tokenizer.json").is_file() {
            continue;
        }
        let alone = tempfile::tempdir().unwrap();
        for name in ["tokenizer.json", "tokenizer_config.json"] {
            std::fs::copy(source.join(name), alone.path().join(name)).unwrap();
        }
        check_prompts(&folder, &PromptTokenizer::open(alone.path()).unwrap());
        seen += 1;
    }
    assert!(seen > 0, "no reference folder has a tokenizer.json");
}

/// Where the library's own variants disagree about odd signs, this one goes with the Rust one.
fn check_prompts(folder: &folder::Folder, tokenizer: &PromptTokenizer) {
    let rows = folder.tensors("tokenizer");
    let agree = &rows.get("agree").values;
    let lengths = &rows.get("untruncated_len").values;
    let (slow, fast) = (rows.get("input_ids").ids(), rows.get("input_ids_fast").ids());
    for (row, prompt) in folder.texts("prompts").iter().enumerate() {
        let encoded = tokenizer.encode(prompt, &[]).unwrap();
        assert_eq!(encoded.ids, fast[row], "{}: {prompt:?}", folder.name);
        if agree[row] == 1.0 {
            assert_eq!(encoded.ids, slow[row], "{}: {prompt:?}", folder.name);
            assert_eq!(encoded.untruncated_len, lengths[row] as usize, "{}: {prompt:?}", folder.name);
        }
        let too_long = encoded.untruncated_len > tokenizer.max_length();
        assert_eq!(encoded.cut.is_some(), too_long, "{}: {prompt:?}", folder.name);
    }
}

#[test]
fn placeholders_become_ids_beyond_the_vocabulary() {
    for folder in folder::all() {
        let tokenizer = PromptTokenizer::open(&folder.model().join("tokenizer")).unwrap();
        let face = [Placeholder { text: "<face>".to_owned(), vectors: 2 }];
        let expected = folder.tensors("tokenizer_placeholder").get("input_ids").ids();
        for (prompt, expected) in folder.texts("placeholder_prompts").iter().zip(expected) {
            let encoded = tokenizer.encode(prompt, &face).unwrap();
            assert_eq!(encoded.ids, expected, "{}: {prompt:?}", folder.name);
        }
    }
}
