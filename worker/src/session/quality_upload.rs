//! A quality report on its way to a coordinator: its pictures go up first.

use likeness_shared::artifacts::ArtifactError;
use likeness_shared::client::Client;
use likeness_shared::proto::{QualityAbsence, QualityReport};

use super::settle::{may_pass, upload};
use crate::engine::{DrawnReport, Quality};

/// As the settlement has it.
pub(super) type Settled = (Option<Box<QualityReport>>, Option<QualityAbsence>);

/// Uploads the pictures of the report. Where the store will have none of them, now or later, there is no report: the person is not
/// lost for that.
///
/// # Errors
/// Where the coordinator is away, and so the whole settlement has to wait.
pub(super) async fn upload_report(
    client: &Client,
    quality: Option<&Quality>,
) -> Result<Settled, ArtifactError> {
    let drawn = match quality {
        None => return Ok((None, None)),
        Some(Quality::Absent(absence)) => return Ok((None, Some(absence.clone()))),
        Some(Quality::Report(drawn)) => drawn,
    };
    match upload_pictures(client, drawn).await {
        Ok(report) => Ok((Some(Box::new(report)), None)),
        Err(ArtifactError::Client(error)) if may_pass(&error) => Err(ArtifactError::Client(error)),
        Err(refused) => {
            let message = format!(
                "the pictures of the quality report were refused by the artifact store ({refused}): look at its limits, and ask again"
            );
            Ok((None, Some(QualityAbsence { code: "upload_refused".to_owned(), message })))
        }
    }
}

async fn upload_pictures(client: &Client, drawn: &DrawnReport) -> Result<QualityReport, ArtifactError> {
    let mut report = drawn.report.clone();
    let figures = report.prompts.iter_mut().flat_map(|prompt| &mut prompt.pictures);
    for (figures, png) in figures.zip(&drawn.pictures) {
        figures.artifact_digest = upload(client, png, "image/png").await?;
    }
    Ok(report)
}
