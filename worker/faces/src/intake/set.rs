//! All photos of one person.

use std::collections::HashMap;

use super::{Photo, PhotoLimits, PhotoRefused, RefusalCode, read_photo};

/// Photos that may be learned from together: enough of them, no two the same.
#[derive(Clone, Debug)]
pub struct PhotoSet {
    photos: Vec<Photo>,
}

impl PhotoSet {
    /// Reads all files and checks them as a set. Every refusal is reported, not only the first.
    ///
    /// # Errors
    /// The refusals, each with the index of its photo, in the order of the photos; `too_few` comes last and
    /// counts only photos that were taken.
    pub fn read(files: &[impl AsRef<[u8]>], limits: &PhotoLimits) -> Result<Self, Vec<PhotoRefused>> {
        let mut taken = Vec::new();
        let mut refused = Vec::new();
        for (index, bytes) in files.iter().enumerate() {
            match read_photo(bytes.as_ref(), limits) {
                Ok(photo) => taken.push((index, photo)),
                Err(refusal) => refused.push(refusal.at(index)),
            }
        }
        Self::check(taken, refused, limits)
    }

    /// Checks photos that were read before.
    ///
    /// # Errors
    /// `duplicate` for every photo that shows exactly what an earlier one shows, and `too_few`.
    pub fn new(photos: Vec<Photo>, limits: &PhotoLimits) -> Result<Self, Vec<PhotoRefused>> {
        Self::check(photos.into_iter().enumerate().collect(), Vec::new(), limits)
    }

    /// The photos, at least [`PhotoLimits::min_photos`].
    pub fn photos(&self) -> &[Photo] {
        &self.photos
    }

    /// The photos.
    pub fn into_photos(self) -> Vec<Photo> {
        self.photos
    }

    fn check(
        taken: Vec<(usize, Photo)>,
        mut refused: Vec<PhotoRefused>,
        limits: &PhotoLimits,
    ) -> Result<Self, Vec<PhotoRefused>> {
        let mut seen: HashMap<[u8; 32], usize> = HashMap::new();
        let mut photos = Vec::new();
        for (index, photo) in taken {
            if let Some(first) = seen.get(&photo.digest) {
                let sentence = format!("photo {} shows exactly the same as photo {}", index + 1, first + 1);
                let hint = "leave it out, or send another photo of the person instead";
                refused.push(PhotoRefused::new(RefusalCode::Duplicate, sentence, hint).at(index));
            } else {
                seen.insert(photo.digest, index);
                photos.push(photo);
            }
        }
        refused.sort_by_key(|refusal| refusal.index);
        if photos.len() < limits.min_photos {
            refused.push(PhotoRefused::too_few(photos.len(), limits.min_photos));
        }
        if refused.is_empty() { Ok(Self { photos }) } else { Err(refused) }
    }
}
