//! Prompts to token ids (transformers `CLIPTokenizer`), with placeholders for learned vectors.
//!
//! A prompt becomes `start, tokens, end, padding`, always of the model's length; what does not fit is cut
//! and reported. The padding token differs between the families (2.x pads with `!`, whose id is 0) and is
//! read from the tokenizer's files.

mod clip;
mod placeholder;

use std::path::{Path, PathBuf};

use tokenizers::Tokenizer;

pub use placeholder::Placeholder;

use crate::config_file::ConfigError;
use placeholder::Piece;

/// A tokenizer that cannot be read, or a prompt that it cannot encode.
#[derive(Debug, thiserror::Error)]
pub enum TokenizerError {
    /// A configuration file of the tokenizer is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Neither `vocab.json` with `merges.txt` nor `tokenizer.json` is there.
    #[error("{} has neither vocab.json with merges.txt nor tokenizer.json", .0.display())]
    NoVocabulary(PathBuf),
    /// A vocabulary that the tokenizers library does not accept.
    #[error("the tokenizer in {} cannot be used: {reason}", path.display())]
    Vocabulary {
        /// Its folder.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A placeholder that could not be recognised or would stand for nothing.
    #[error("the placeholder {0:?} needs a text that is not blank, and at least one vector")]
    Placeholder(String),
    /// Two placeholders with the same text.
    #[error("the placeholder {0:?} is given twice")]
    DuplicatePlaceholder(String),
    /// The prompt could not be encoded.
    #[error("the prompt cannot be encoded: {0}")]
    Prompt(String),
}

/// An encoded prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedPrompt {
    /// Start, tokens, end, padding: always [`PromptTokenizer::max_length`] ids.
    pub ids: Vec<u32>,
    /// Tokens of the whole prompt with start and end, before truncation.
    pub untruncated_len: usize,
    /// The end of the prompt that did not fit and was left out, if any.
    pub cut: Option<String>,
}

/// The tokenizer of a model.
#[derive(Debug)]
pub struct PromptTokenizer {
    tokenizer: Tokenizer,
    vocab_size: u32,
    max_length: usize,
    start: u32,
    end: u32,
    padding: u32,
}

/// A token and the byte of the prompt at which its text begins.
struct Token {
    id: u32,
    begins: usize,
}

impl PromptTokenizer {
    /// Opens the tokenizer in the folder `dir` (`tokenizer/` of a model).
    ///
    /// # Errors
    /// When files are missing or unusable.
    pub fn open(dir: &Path) -> Result<Self, TokenizerError> {
        clip::open(dir)
    }

    /// Number of ids in the vocabulary, special tokens included; learned vectors take the ids from here on.
    pub fn vocab_size(&self) -> u32 {
        self.vocab_size
    }

    /// Length of every encoded prompt, start and end included (77 for the published models).
    pub fn max_length(&self) -> usize {
        self.max_length
    }

    /// The id that ends every prompt.
    pub fn end_id(&self) -> u32 {
        self.end
    }

    /// The id that fills the end of a short prompt.
    pub fn padding_id(&self) -> u32 {
        self.padding
    }

    /// Encodes `prompt`, in which each placeholder's text stands for its vectors.
    ///
    /// Placeholders take the ids from [`PromptTokenizer::vocab_size`] on, in the order given. They are
    /// found before lower-casing, case-sensitively, inside words as well, the longest first; white space
    /// around them is dropped.
    ///
    /// # Errors
    /// When a placeholder is blank, empty or given twice.
    pub fn encode(
        &self,
        prompt: &str,
        placeholders: &[Placeholder],
    ) -> Result<EncodedPrompt, TokenizerError> {
        let mut tokens = Vec::new();
        for piece in placeholder::split(prompt, placeholders, self.vocab_size)? {
            match piece {
                Piece::Text { begins, text } => self.encode_text(begins, text, &mut tokens)?,
                Piece::Learned { begins, ids } => tokens.extend(ids.map(|id| Token { id, begins })),
            }
        }
        let untruncated_len = tokens.len() + 2;
        let room = self.max_length - 2;
        let cut = tokens.get(room).and_then(|first_cut| prompt.get(first_cut.begins..)).map(str::to_owned);

        let mut ids = Vec::with_capacity(self.max_length);
        ids.push(self.start);
        ids.extend(tokens.iter().take(room).map(|token| token.id));
        ids.push(self.end);
        ids.resize(self.max_length, self.padding);
        Ok(EncodedPrompt { ids, untruncated_len, cut })
    }

    /// The bare ids of `text`: no start, end or padding, and no limit.
    ///
    /// # Errors
    /// When the text cannot be encoded.
    pub fn token_ids(&self, text: &str) -> Result<Vec<u32>, TokenizerError> {
        let mut tokens = Vec::new();
        self.encode_text(0, text, &mut tokens)?;
        Ok(tokens.into_iter().map(|token| token.id).collect())
    }

    fn encode_text(&self, begins: usize, text: &str, tokens: &mut Vec<Token>) -> Result<(), TokenizerError> {
        let encoding =
            self.tokenizer.encode(text, false).map_err(|error| TokenizerError::Prompt(error.to_string()))?;
        let starts = encoding.get_offsets().iter().map(|(start, _)| begins + start);
        tokens.extend(encoding.get_ids().iter().zip(starts).map(|(&id, begins)| Token { id, begins }));
        Ok(())
    }
}
