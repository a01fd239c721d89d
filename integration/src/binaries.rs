//! Where programs are: ours beside the running executable, others on the search path.

use std::path::{Path, PathBuf};

/// A program of this workspace, from the same target folder as the running executable.
///
/// Panics with what to type when it was not built.
pub fn ours(name: &str) -> PathBuf {
    let running = std::env::current_exe().expect("the running executable has a path");
    let folder = running.parent().expect("an executable is in a folder");
    // A test's executable is in `deps`, one below the programs.
    let folder = match folder.file_name() {
        Some(last) if last == "deps" || last == "examples" => folder.parent().expect("deps is in a folder"),
        _ => folder,
    };
    let path = folder.join(name);
    let package = if name == "pitstop" { "pitstop" } else { "integration" };
    assert!(path.exists(), "{} is missing: cargo build --package {package} --bins", path.display());
    path
}

/// A program on the search path or in the administrator's folders. Panics, naming the part of `scripts/setup` that
/// installs it, when it is missing.
pub fn tool(name: &str, setup_part: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|folder| folder.join(name))
        .find(|candidate| candidate.exists())
        .unwrap_or_else(|| panic!("{name} is missing: scripts/setup {setup_part}"))
}

/// A path as text; ours have no others.
pub fn text(path: &Path) -> String {
    path.to_str().expect("paths in tests are valid UTF-8").to_owned()
}
