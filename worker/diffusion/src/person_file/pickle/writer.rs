//! The one pickle this project writes: an A1111 embedding, protocol 2, as `torch.save` lays it out.

use std::collections::BTreeMap;

/// What goes into the pickle.
pub(in super::super) struct Embedding<'a> {
    pub(in super::super) name: &'a str,
    pub(in super::super) steps: i32,
    /// [K, D] of the f32 numbers in storage `0`.
    pub(in super::super) shape: [usize; 2],
    /// The key under which the metadata goes.
    pub(in super::super) own_entry: &'a str,
    pub(in super::super) metadata: &'a BTreeMap<String, String>,
}

/// The id of `*` in CLIP's vocabulary, which the web UI writes and never uses.
const TOKEN_OF_STAR: i32 = 265;

/// The pickle's bytes.
pub(in super::super) fn write_embedding(embedding: &Embedding<'_>) -> Vec<u8> {
    let [count, width] = embedding.shape.map(|side| i32::try_from(side).unwrap_or(i32::MAX));
    let mut out = Program(vec![0x80, 2]);
    out.raw(b"}(");
    out.text("string_to_token").raw(b"}").text("*").integer(TOKEN_OF_STAR).raw(b"s");
    out.text("string_to_param").raw(b"}").text("*");
    out.raw(b"ctorch._utils\n_rebuild_tensor_v2\n((");
    out.text("storage")
        .raw(b"ctorch\nFloatStorage\n")
        .text("0")
        .text("cpu")
        .integer(count.saturating_mul(width));
    out.raw(b"tQ").integer(0);
    out.integer(count).integer(width).raw(b"\x86").integer(width).integer(1).raw(b"\x86");
    out.raw(b"\x89ccollections\nOrderedDict\n)RtRs");
    out.text("name").text(embedding.name);
    out.text("step").integer(embedding.steps);
    out.text("sd_checkpoint").raw(b"N");
    out.text("sd_checkpoint_name").raw(b"N");
    out.text(embedding.own_entry).raw(b"}(");
    for (key, value) in embedding.metadata {
        out.text(key).text(value);
    }
    out.raw(b"uu.");
    out.0
}

struct Program(Vec<u8>);

impl Program {
    fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// BININT.
    fn integer(&mut self, value: i32) -> &mut Self {
        self.raw(b"J").raw(&value.to_le_bytes())
    }

    /// BINUNICODE.
    fn text(&mut self, text: &str) -> &mut Self {
        let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
        self.raw(b"X").raw(&length.to_le_bytes()).raw(text.as_bytes())
    }
}
