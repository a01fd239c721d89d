//! `docs/faults.md`, held against the tests: a row that is promised is tested, and a test's row is promised.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::page::repository;

/// The files of the rows, by number, as the page links them.
fn promised() -> BTreeMap<u32, PathBuf> {
    let text = fs::read_to_string(repository().join("docs/faults.md")).unwrap();
    let row = |line: &str| {
        let number = line.strip_prefix("| ")?.split(' ').next()?.parse().ok()?;
        let link = line.rsplit("](../").next()?.split(')').next()?;
        Some((number, repository().join(link)))
    };
    text.lines().filter_map(row).collect()
}

/// The files of all test binaries whose name says which row they are for.
fn tested() -> BTreeMap<u32, PathBuf> {
    let files = |folder: &Path| fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect::<Vec<_>>();
    let folders = files(&repository().join("integration/tests")).into_iter().filter(|path| path.is_dir());
    let row = |path: PathBuf| {
        let number = path.file_name()?.to_str()?.strip_prefix("row_")?.split('_').next()?.parse().ok()?;
        Some((number, path))
    };
    folders.flat_map(|folder| files(&folder)).filter_map(row).collect()
}

#[test]
fn every_row_is_tested_and_every_tested_row_is_on_the_page() {
    assert_eq!(promised(), tested());
    for (number, path) in promised() {
        assert!(
            fs::read_to_string(&path).unwrap().contains("#[test]"),
            "row {number} has no test in {}",
            path.display()
        );
    }
}
