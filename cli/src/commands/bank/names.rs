//! The file of names: one a line; empty lines and those that begin with # are passed over, a name that comes again too.

use std::collections::BTreeSet;
use std::path::Path;

use crate::commands::lines;

/// The names, in their order.
pub(crate) fn read(path: &Path) -> anyhow::Result<Vec<String>> {
    let mut seen = BTreeSet::new();
    Ok(lines::read(path, "name")?.into_iter().filter(|name| seen.insert(name.clone())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_comes_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("names.txt");
        std::fs::write(&path, "# known\n ann lee \n\nbob ray\nann lee\n").unwrap();
        assert_eq!(read(&path).unwrap(), ["ann lee", "bob ray"]);
    }
}
