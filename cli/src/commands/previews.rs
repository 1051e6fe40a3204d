//! The looks at a person while he is learned, kept in a folder as they come.

use std::path::PathBuf;

use anyhow::Context;
use likeness_shared::client::Client;
use likeness_shared::proto::Task;

use crate::commands::generate;
use crate::output::Voice;
use crate::whole_file;

/// Where previews go, and which one went there last.
#[derive(Debug)]
pub(crate) struct Previews {
    folder: PathBuf,
    shown: u32,
}

impl Previews {
    /// Into this folder, which is made.
    pub(crate) fn into_folder(folder: PathBuf) -> anyhow::Result<Self> {
        std::fs::create_dir_all(&folder)
            .with_context(|| format!("the folder {} cannot be made", folder.display()))?;
        Ok(Self { folder, shown: 0 })
    }

    /// Keeps the task's newest preview, where there is one that has not been kept. One that cannot be had is only told of:
    /// the task is not the worse for it.
    pub(crate) async fn keep(&mut self, client: &Client, task: &Task, voice: Voice) {
        let preview = task.progress.as_ref().and_then(|progress| progress.preview.as_ref());
        let Some(preview) = preview.filter(|preview| preview.step > self.shown) else { return };
        self.shown = preview.step;
        let path = self.folder.join(format!("step-{:05}.png", preview.step));
        match generate::download(client, &preview.artifact_digest).await {
            Ok(png) => match whole_file::write(&path, &png) {
                Ok(()) => {
                    voice.say(format_args!("preview after {} iterations: {}", preview.step, path.display()))
                }
                Err(error) => voice.warn(format!("{error:#}")),
            },
            Err(error) => {
                voice.warn(format!("the preview after {} iterations cannot be had: {error:#}", preview.step))
            }
        }
    }
}
