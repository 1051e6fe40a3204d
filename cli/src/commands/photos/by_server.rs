//! Photos judged by the fleet's coordinator, by the rules by which its workers judge them: for whoever has no networks at hand.

use std::path::PathBuf;

use anyhow::Context;
use likeness_shared::client::Client;
use likeness_shared::proto::{CheckPhotosRequest, PhotoReport};

use crate::arguments::Global;
use crate::commands::photos;
use crate::output::Voice;

/// Uploads the photos and has them judged.
pub(super) async fn check(
    files: &[PathBuf],
    portrait_side: u32,
    global: &Global,
    voice: Voice,
) -> anyhow::Result<PhotoReport> {
    let files = photos::read(files)?;
    let client = Client::connect(&global.server).await?;
    let photo_digests = photos::upload(&client, &files, voice).await?;
    let request = CheckPhotosRequest { photo_digests, min_photos: None, portrait_side: Some(portrait_side) };
    let answer = client.check_photos(request).await?;
    answer.report.context("the server's answer holds no report")
}
