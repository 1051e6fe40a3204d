//! PNG files with texts (prompt, seed, model, ...).
//!
//! A text goes into a `tEXt` chunk where Latin-1 can hold it, else into an uncompressed `iTXt` chunk in
//! UTF-8. Chunks come in the order given, before the pixels. U+0000, which PNG cannot hold, is left out.

use std::io::Cursor;

use png::text_metadata::{ITXtChunk, TEXtChunk};
use png::{BitDepth, ColorType, Compression, Decoder, Encoder, Filter, Limits, Transformations};

use super::{PictureError, RgbPicture};

/// More than the largest picture that is ever made here takes.
const MAX_DECODED_BYTES: usize = 256 << 20;

impl RgbPicture {
    /// The picture as a PNG file with these (keyword, text) pairs.
    ///
    /// # Errors
    /// [`PictureError::Keyword`] for a keyword that PNG does not allow, [`PictureError::Size`] where the
    /// pixels do not fit the sides.
    pub fn to_png(&self, text: &[(String, String)]) -> Result<Vec<u8>, PictureError> {
        if self.pixels.len() as u64 != u64::from(self.width) * u64::from(self.height) * 3 {
            let (width, height, bytes) = (self.width, self.height, self.pixels.len());
            return Err(PictureError::Size { width, height, bytes });
        }
        let failed = |error: png::EncodingError| PictureError::Encode(error.to_string());
        let mut file = Vec::new();
        let mut encoder = Encoder::new(&mut file, self.width, self.height);
        encoder.set_color(ColorType::Rgb);
        encoder.set_depth(BitDepth::Eight);
        encoder.set_compression(Compression::Balanced);
        encoder.set_filter(Filter::Adaptive);
        let mut writer = encoder.write_header().map_err(failed)?;
        for (keyword, text) in text {
            let keyword = checked_keyword(keyword)?;
            let text = text.replace('\0', "");
            if text.chars().all(is_latin1_text) {
                writer.write_text_chunk(&TEXtChunk::new(keyword, text)).map_err(failed)?;
            } else {
                writer.write_text_chunk(&ITXtChunk::new(keyword, text)).map_err(failed)?;
            }
        }
        writer.write_image_data(&self.pixels).map_err(failed)?;
        writer.finish().map_err(failed)?;
        Ok(file)
    }

    /// Reads a PNG file of any colour type as RGB (alpha is dropped), with its uncompressed texts.
    ///
    /// # Errors
    /// [`PictureError::Decode`] for anything that is not a whole PNG file of reasonable size.
    pub fn from_png(bytes: &[u8]) -> Result<(Self, Vec<(String, String)>), PictureError> {
        let failed = |error: png::DecodingError| PictureError::Decode(error.to_string());
        let mut decoder = Decoder::new_with_limits(Cursor::new(bytes), Limits { bytes: MAX_DECODED_BYTES });
        decoder.set_transformations(Transformations::normalize_to_color8());
        let mut reader = decoder.read_info().map_err(failed)?;
        let too_large = || PictureError::Decode("it is too large".to_owned());
        let size =
            reader.output_buffer_size().filter(|size| *size <= MAX_DECODED_BYTES).ok_or_else(too_large)?;
        let mut buffer = vec![0; size];
        let frame = reader.next_frame(&mut buffer).map_err(failed)?;
        buffer.truncate(frame.buffer_size());
        let pixels = match frame.color_type {
            ColorType::Rgb => buffer,
            ColorType::Rgba => {
                buffer.as_chunks::<4>().0.iter().flat_map(|[r, g, b, _]| [*r, *g, *b]).collect()
            }
            ColorType::Grayscale => buffer.iter().flat_map(|value| [*value; 3]).collect(),
            ColorType::GrayscaleAlpha => {
                buffer.as_chunks::<2>().0.iter().flat_map(|[value, _]| [*value; 3]).collect()
            }
            ColorType::Indexed => {
                return Err(PictureError::Decode("its palette was not expanded".to_owned()));
            }
        };
        let info = reader.info();
        let plain =
            info.uncompressed_latin1_text.iter().map(|chunk| (chunk.keyword.clone(), chunk.text.clone()));
        let utf8 =
            info.utf8_text.iter().filter_map(|chunk| Some((chunk.keyword.clone(), chunk.get_text().ok()?)));
        let texts = plain.chain(utf8).collect();
        Ok((Self::new(frame.width, frame.height, pixels)?, texts))
    }
}

fn checked_keyword(keyword: &str) -> Result<String, PictureError> {
    let length = keyword.chars().count();
    let allowed = |letter: char| matches!(letter, ' '..='~' | '\u{a1}'..='\u{ff}');
    let spaced = keyword.starts_with(' ') || keyword.ends_with(' ') || keyword.contains("  ");
    if !(1..=79).contains(&length) || !keyword.chars().all(allowed) || spaced {
        return Err(PictureError::Keyword(keyword.to_owned()));
    }
    Ok(keyword.to_owned())
}

/// What the PNG standard advises for `tEXt`: printable Latin-1 and line feeds.
fn is_latin1_text(letter: char) -> bool {
    matches!(letter, '\n' | ' '..='~' | '\u{a0}'..='\u{ff}')
}
