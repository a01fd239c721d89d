//! The lists of `deny.toml`, held against what is really built: licences, bans, sources.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::path::Path;
use std::process::Command;

use serde_json::Value;

fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn packages() -> Vec<Value> {
    let arguments =
        ["metadata", "--format-version=1", "--locked", "--offline", "--filter-platform=x86_64-unknown-linux-gnu"];
    let output = Command::new(env!("CARGO")).args(arguments).current_dir(workspace()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let used: Vec<&Value> = metadata["resolve"]["nodes"].as_array().unwrap().iter().map(|node| &node["id"]).collect();
    let packages = metadata["packages"].as_array().unwrap().iter();
    packages.filter(|package| used.contains(&&package["id"])).cloned().collect()
}

fn deny() -> toml::Table {
    std::fs::read_to_string(workspace().join("deny.toml")).unwrap().parse().unwrap()
}

/// An SPDX expression: `OR` binds less than `AND`, parentheses most; an old `/` means `OR`.
fn is_allowed(expression: &str, allowed: &[&str]) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = words.as_slice();
    any_of(&mut rest, allowed)
}

fn any_of(words: &mut &[&str], allowed: &[&str]) -> bool {
    let mut result = all_of(words, allowed);
    while let Some(("OR", rest)) = words.split_first().map(|(word, rest)| (*word, rest)) {
        *words = rest;
        result |= all_of(words, allowed);
    }
    result
}

fn all_of(words: &mut &[&str], allowed: &[&str]) -> bool {
    let mut result = one(words, allowed);
    while let Some(("AND", rest)) = words.split_first().map(|(word, rest)| (*word, rest)) {
        *words = rest;
        result &= one(words, allowed);
    }
    result
}

fn one(words: &mut &[&str], allowed: &[&str]) -> bool {
    let (word, rest) = words.split_first().expect("a licence");
    *words = rest;
    if *word != "(" {
        return allowed.contains(word);
    }
    let result = any_of(words, allowed);
    *words = words.split_first().expect("a closing parenthesis").1;
    result
}

#[test]
fn every_dependency_has_a_licence_that_is_allowed() {
    let deny = deny();
    let allowed: Vec<&str> =
        deny["licenses"]["allow"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    for package in packages() {
        let licence = package["license"].as_str().unwrap_or("none");
        assert!(is_allowed(licence, &allowed), "{} is under {licence}", package["name"]);
    }
}

#[test]
fn no_banned_crate_is_built_and_all_come_from_crates_io() {
    let deny = deny();
    let banned: Vec<&toml::Value> = deny["bans"]["deny"].as_array().unwrap().iter().collect();
    for package in packages() {
        let name = package["name"].as_str().unwrap();
        let ban = banned.iter().find(|ban| ban["crate"].as_str() == Some(name));
        assert!(ban.is_none(), "{name}: {}", ban.unwrap()["reason"]);
        let source = package["source"].as_str();
        assert!(source.is_none_or(|source| source.contains("crates.io-index")), "{name} comes from {source:?}");
    }
}

#[test]
fn a_licence_expression_is_read_as_spdx_has_it() {
    let allowed = ["MIT", "Unicode-3.0"];
    assert!(is_allowed("(MIT OR Apache-2.0) AND Unicode-3.0", &allowed));
    assert!(is_allowed("GPL-3.0 OR MIT", &allowed));
    assert!(is_allowed("Apache-2.0/MIT", &allowed));
    assert!(!is_allowed("MIT AND GPL-3.0", &allowed));
    assert!(!is_allowed("(GPL-3.0 OR Apache-2.0) AND MIT", &allowed));
}
