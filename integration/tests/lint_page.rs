//! What `docs/lint.md` and the examples of `haproxy-cfg lint` claim: that they are real.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use integration::binaries;
use integration::haproxy::Version;

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Every example of a rule, and every whole configuration.
fn examples() -> Vec<PathBuf> {
    let mut examples = Vec::new();
    for folder in fs::read_dir(workspace().join("haproxy-cfg/tests/lint")).unwrap() {
        let files = fs::read_dir(folder.unwrap().path()).unwrap();
        examples.extend(files.map(|file| file.unwrap().path()));
    }
    examples.sort();
    examples
}

#[test]
fn every_example_is_a_configuration_that_every_haproxy_takes() {
    let examples = examples();
    assert!(examples.len() > 60, "{}", examples.len());
    for version in Version::ALL {
        for path in &examples {
            // Conditions came with 2.4.
            if version == Version::Bed("2.2") && path.ends_with("configurations/conditions.cfg") {
                continue;
            }
            let mut haproxy = Command::new(version.program());
            for (name, value) in [("SOCKET", "/run/a.sock"), ("LEVEL", "admin"), ("CLIENT", "1s"), ("HEALTH", "/")] {
                haproxy.env(name, value);
            }
            let variables = [("APP1", "10.0.0.1:1"), ("APP2", "10.0.0.2:1"), ("COOKIE", "a")];
            // Names of examples are not asked for: -dr.
            let output = haproxy.envs(variables).args(["-dr", "-c", "-f"]).arg(path).output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            if path.ends_with("agent-port/fails.cfg") {
                assert!(!output.status.success() && said.contains("does not have agent port"), "{version:?}: {said}");
            } else {
                assert!(output.status.success(), "{version:?} {}: {said}", path.display());
            }
        }
    }
}

/// The page with what its commands print now; a command is a line after `$ ` in a block of `console`.
fn as_it_is_now(page: &str) -> String {
    let programs = binaries::ours("pitstop").parent().unwrap().to_owned();
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    let mut now = String::new();
    let mut in_console = false;
    for line in page.lines() {
        in_console = if in_console { line != "```" } else { line == "```console" };
        let command = line.strip_prefix("$ ").filter(|_| in_console);
        if !in_console || command.is_some() || line == "```console" {
            now.push_str(&format!("{line}\n"));
        }
        if let Some(command) = command {
            let output = Command::new("sh")
                .args(["-c", &format!("({command}) 2>&1")])
                .env("PATH", &path)
                .env("PITSTOP_CONFIG", "/none/pitstop.toml")
                .current_dir(workspace())
                .stdin(Stdio::null())
                .output()
                .unwrap();
            now.push_str(&String::from_utf8(output.stdout).unwrap());
        }
    }
    now
}

/// `BLESS=1 cargo nextest run -p integration --test lint_page` writes it anew.
#[test]
fn the_page_shows_what_its_commands_print() {
    let path = workspace().join("docs/lint.md");
    let page = fs::read_to_string(&path).unwrap();
    let now = as_it_is_now(&page);
    if std::env::var_os("BLESS").is_some() {
        fs::write(&path, now).unwrap();
        return;
    }
    assert_eq!(page, now);
    assert!(page.matches("\n$ ").count() >= 4);
}
