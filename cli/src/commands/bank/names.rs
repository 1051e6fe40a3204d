//! The file of names: one a line; empty lines and those that begin with # are passed over, a name that comes again too.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::Context;

/// The names, in their order.
pub(crate) fn read(path: &Path) -> anyhow::Result<Vec<String>> {
    let text = std::fs::read_to_string(path).with_context(|| {
        format!("cannot read the names in {}; give a text file with one name a line", path.display())
    })?;
    let names = of(&text);
    anyhow::ensure!(!names.is_empty(), "{} has no names; put one name a line there", path.display());
    Ok(names)
}

fn of(text: &str) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.filter(|name| seen.insert(*name)).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_comes_once() {
        assert_eq!(of("# known\n ann lee \n\nbob ray\nann lee\n"), ["ann lee", "bob ray"]);
        let folder = tempfile::tempdir().unwrap();
        let said = format!("{:#}", read(&folder.path().join("names.txt")).unwrap_err());
        assert!(said.contains("names.txt") && said.contains("one name a line"), "{said}");
    }
}
