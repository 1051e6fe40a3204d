//! Opening a CLIP tokenizer: the files and the fixed pipeline around the byte-pair encoding.

use std::path::Path;

use serde_json::Value;
use tokenizers::models::bpe::BPE;
use tokenizers::normalizers::{Lowercase, NFC, Replace, Sequence as Normalizers};
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::sequence::Sequence as PreTokenizers;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::{AddedToken, PostProcessorWrapper, SplitDelimiterBehavior, Tokenizer};

use super::{PromptTokenizer, TokenizerError};
use crate::config_file::ConfigFile;

/// Contractions, words, single digits, runs of other signs.
const WORDS: &str = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+";
const DEFAULT_START: &str = "<|startoftext|>";
const DEFAULT_END: &str = "<|endoftext|>";
const DEFAULT_MAX_LENGTH: usize = 77;

/// `vocab.json` with `merges.txt` is what the published models are used with, so it comes first;
/// `tokenizer.json` serves where only that exists.
pub(super) fn open(dir: &Path) -> Result<PromptTokenizer, TokenizerError> {
    let special = SpecialTokens::read(dir)?;
    let unusable = |reason: String| TokenizerError::Vocabulary { path: dir.to_path_buf(), reason };
    let failed = |error: tokenizers::Error| unusable(error.to_string());

    let [vocab, merges, whole] = ["vocab.json", "merges.txt", "tokenizer.json"].map(|name| dir.join(name));
    let mut tokenizer = if vocab.is_file() && merges.is_file() {
        let model = BPE::from_file(&vocab.to_string_lossy(), &merges.to_string_lossy())
            .unk_token(special.unknown.content.clone())
            .end_of_word_suffix("</w>".to_owned())
            .build()
            .map_err(failed)?;
        let mut tokenizer = Tokenizer::new(model);
        let squeeze =
            Replace::new(tokenizers::normalizers::replace::ReplacePattern::Regex(r"\s+".into()), " ");
        let normalizers = vec![NFC.into(), squeeze.map_err(failed)?.into(), Lowercase.into()];
        let words = Split::new(SplitPattern::Regex(WORDS.into()), SplitDelimiterBehavior::Removed, true);
        let pre_tokenizers: Vec<PreTokenizerWrapper> =
            vec![words.map_err(failed)?.into(), ByteLevel::new(false, true, true).into()];
        tokenizer.with_normalizer(Some(Normalizers::new(normalizers))).map_err(failed)?;
        tokenizer.with_pre_tokenizer(Some(PreTokenizers::new(pre_tokenizers)));
        tokenizer
    } else if whole.is_file() {
        Tokenizer::from_file(&whole).map_err(failed)?
    } else {
        return Err(TokenizerError::NoVocabulary(dir.to_path_buf()));
    };
    tokenizer.with_padding(None).with_post_processor(None::<PostProcessorWrapper>);
    tokenizer.with_truncation(None).map_err(failed)?;
    tokenizer.add_special_tokens(special.all()).map_err(failed)?;

    let id = |token: &AddedToken| {
        tokenizer
            .token_to_id(&token.content)
            .ok_or_else(|| unusable(format!("the vocabulary lacks {:?}", token.content)))
    };
    let (start, end, padding) = (id(&special.start)?, id(&special.end)?, id(&special.padding)?);
    let vocab_size = u32::try_from(tokenizer.get_vocab_size(true))
        .map_err(|_| unusable("the vocabulary has more than 2^32 tokens".to_owned()))?;
    if special.max_length < 3 {
        return Err(unusable(format!("model_max_length is {}; at least 3 is needed", special.max_length)));
    }
    Ok(PromptTokenizer { tokenizer, vocab_size, max_length: special.max_length, start, end, padding })
}

/// What `tokenizer_config.json` and `special_tokens_map.json` say; the former wins.
struct SpecialTokens {
    start: AddedToken,
    end: AddedToken,
    unknown: AddedToken,
    padding: AddedToken,
    max_length: usize,
}

impl SpecialTokens {
    fn read(dir: &Path) -> Result<Self, TokenizerError> {
        let files = ["tokenizer_config.json", "special_tokens_map.json"]
            .map(|name| dir.join(name))
            .into_iter()
            .filter(|path| path.is_file())
            .map(|path| ConfigFile::open(&path))
            .collect::<Result<Vec<_>, _>>()?;
        let token = |key: &str, default: &str| {
            for file in &files {
                match file.value(key) {
                    Some(Value::String(content)) => return Ok(special(content)),
                    Some(Value::Object(_)) => return file.required(key).map(WrittenToken::special),
                    Some(_) => return Err(file.invalid(key, "a token, as a string or an object")),
                    None => {}
                }
            }
            Ok(special(default))
        };
        let max_length = files.iter().find_map(|file| file.optional("model_max_length").transpose());
        Ok(Self {
            start: token("bos_token", DEFAULT_START)?,
            end: token("eos_token", DEFAULT_END)?,
            unknown: token("unk_token", DEFAULT_END)?,
            padding: token("pad_token", DEFAULT_END)?,
            max_length: max_length.transpose()?.unwrap_or(DEFAULT_MAX_LENGTH),
        })
    }

    /// Every special token once: a literal `!` of the user is the padding token where that is `!`.
    fn all(&self) -> Vec<AddedToken> {
        let mut tokens: Vec<AddedToken> = Vec::new();
        for token in [&self.start, &self.end, &self.unknown, &self.padding] {
            if tokens.iter().all(|other| other.content != token.content) {
                tokens.push(token.clone());
            }
        }
        tokens
    }
}

/// A token that is given as a bare string is taken as it stands, before any normalisation.
fn special(content: &str) -> AddedToken {
    AddedToken::from(content, true).normalized(false)
}

/// A token as the files write it; what they leave out is the reference library's default.
#[derive(serde::Deserialize)]
struct WrittenToken {
    content: String,
    #[serde(default)]
    single_word: bool,
    #[serde(default)]
    lstrip: bool,
    #[serde(default)]
    rstrip: bool,
    #[serde(default)]
    normalized: bool,
}

impl WrittenToken {
    fn special(self) -> AddedToken {
        AddedToken::from(self.content, true)
            .single_word(self.single_word)
            .lstrip(self.lstrip)
            .rstrip(self.rstrip)
            .normalized(self.normalized)
    }
}
