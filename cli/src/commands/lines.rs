//! Text files with one thing a line: names, prompts. Empty lines and those that begin with # are passed over.

use std::path::Path;

use anyhow::Context;

/// What the lines of the file say; there is at least one. `what` is what a line has, such as "prompt".
pub(crate) fn read(path: &Path, what: &str) -> anyhow::Result<Vec<String>> {
    let shown = path.display();
    let text = std::fs::read_to_string(path).with_context(|| {
        format!("cannot read the {what}s in {shown}; give a text file with one {what} a line")
    })?;
    let lines: Vec<String> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(str::to_owned)
        .collect();
    anyhow::ensure!(!lines.is_empty(), "{shown} has no {what}s; put one {what} a line there");
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remarks_and_empty_lines_are_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("prompts.txt");
        let said = format!("{:#}", read(&path, "prompt").unwrap_err());
        assert!(said.contains("prompts.txt") && said.contains("one prompt a line"), "{said}");
        std::fs::write(&path, "# mine\n a photo of sks \n\nsks in snow\n").unwrap();
        assert_eq!(read(&path, "prompt").unwrap(), ["a photo of sks", "sks in snow"]);
        std::fs::write(&path, "\n# none\n").unwrap();
        assert!(read(&path, "prompt").unwrap_err().to_string().contains("has no prompts"));
    }
}
