//! What can be wrong with a person file.

/// Why a person file is not read or written. The message says what to do next.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PersonFileError {
    /// More bytes than any person file has.
    #[error("the file has {bytes} bytes; a person file has a few thousand and at most {limit}")]
    TooLarge {
        /// The file's size.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// None of the three formats.
    #[error(
        "this is not a person file: {0}; give a .safetensors (diffusers or kohya) or .pt (A1111) embedding"
    )]
    NotAPersonFile(String),
    /// The file is broken.
    #[error("the file is damaged: {0}; fetch it again")]
    Damaged(String),
    /// A pickle that is not in a zip.
    #[error(
        "the file is a bare pickle, as torch wrote before version 1.6; load it in a current web UI or torch \
         and save it again, best as .safetensors"
    )]
    BarePickle,
    /// The pickle does something that torch's embeddings do not.
    #[error(
        "the file's pickle is refused: {0}; nothing of it was run. Convert it to .safetensors where you trust it"
    )]
    Pickle(String),
    /// An embedding for SDXL.
    #[error(
        "the file holds a pair of embeddings for SDXL or SD3 ({found}); Likeness runs Stable Diffusion 1.x \
         and 2.x, which have one text encoder: train the person for one of them"
    )]
    Sdxl {
        /// The tensor that tells.
        found: String,
    },
    /// Several tensors where one is expected.
    #[error("the file holds {count} tensors ({names}); a person file holds one")]
    Tensors {
        /// How many.
        count: usize,
        /// The first of their names.
        names: String,
    },
    /// Numbers of a type that embeddings do not have.
    #[error("the vectors are stored as {0}; supported are float32, float16, bfloat16 and float64")]
    Type(String),
    /// Not [K, D] of a sensible size.
    #[error(
        "the vectors have the shape {shape:?}; expected [K, D] with 1 to 75 vectors K of width D up to 8192"
    )]
    Shape {
        /// The shape.
        shape: Vec<usize>,
    },
    /// Vectors of different widths.
    #[error("vector {index} has {found} numbers where the first has {expected}")]
    Uneven {
        /// Which vector.
        index: usize,
        /// The first vector's width.
        expected: usize,
        /// This one's.
        found: usize,
    },
    /// NaN or infinity.
    #[error(
        "vector {index} has a number that is not finite at position {position}; the training that made it failed"
    )]
    NotFinite {
        /// Which vector.
        index: usize,
        /// Where in it.
        position: usize,
    },
    /// A vector of nothing but zeros.
    #[error("vector {index} is zero; the file holds no person there")]
    Zero {
        /// Which vector.
        index: usize,
    },
    /// The person belongs to another family of models.
    #[error(
        "the person has vectors of width {file}, the model takes {model} (Stable Diffusion 1.x has 768, 2.x \
         has 1024): use the base model that the person was trained on, or train again"
    )]
    Width {
        /// The file's width.
        file: usize,
        /// The model's width.
        model: usize,
    },
}
