//! The configurations of `haproxy-cfg/tests/corpus`: a file each, or a folder of several.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use haproxy_cfg::{Config, Environment, Source};
use integration::haproxy::Version;
use integration::netns::Namespace;

use crate::running;

/// One configuration, and what its comment says of it.
pub(crate) struct Case {
    pub(crate) name: String,
    /// What HAProxy is given after `-f`.
    pub(crate) path: PathBuf,
    pub(crate) sources: Vec<Source>,
    /// The versions that accept it.
    pub(crate) accepted_by: Vec<String>,
    /// All environment variables.
    pub(crate) variables: BTreeMap<String, String>,
}

impl Case {
    fn read(path: PathBuf) -> Self {
        let mut files = match path.is_dir() {
            true => std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()).collect(),
            false => vec![path.clone()],
        };
        // HAProxy reads a folder in the order of its names.
        files.sort();
        let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
        let sources: Vec<_> = files.iter().map(|file| Source::new(name(file), std::fs::read(file).unwrap())).collect();
        let text = String::from_utf8_lossy(&sources[0].bytes).into_owned();
        let said =
            |what: &str| text.lines().filter_map(|line| line.strip_prefix(what)).map(str::to_owned).collect::<Vec<_>>();
        let accepted_by = said("# accepted by: ").first().unwrap_or_else(|| panic!("{}", path.display())).clone();
        let with = said("# with: ");
        let variables = with.iter().map(|pair| pair.split_once('=').unwrap());
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Self {
            name: name(&path),
            path,
            sources,
            accepted_by: accepted_by.split_whitespace().map(str::to_owned).collect(),
            variables: variables.chain([("PATH".to_owned(), std::env::var("PATH").unwrap())]).collect(),
        }
    }

    pub(crate) fn is_accepted_by(&self, number: &str) -> bool {
        self.accepted_by.iter().any(|version| version == number)
    }

    /// Read with everything told that its meaning depends on.
    pub(crate) fn config(&self, version: Version) -> Config {
        let environment = Environment { variables: Some(self.variables.clone()), ..running::environment(version) };
        Config::read(self.sources.clone(), &environment).unwrap_or_else(|error| panic!("{}: {error}", self.name))
    }
}

/// All of them.
pub(crate) fn all() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../haproxy-cfg/tests/corpus").canonicalize().unwrap();
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.into_iter().map(Case::read).collect()
}

#[test]
fn every_configuration_is_accepted_by_the_versions_that_it_names_and_by_no_other() {
    let _namespace = Namespace::new();
    for case in all() {
        for (number, version) in ["2.2", "2.6", "3.0", "3.2"].into_iter().zip(Version::ALL) {
            let mut command = Command::new(version.program());
            let output =
                command.args(["-W", "-c", "-f"]).arg(&case.path).env_clear().envs(&case.variables).output().unwrap();
            // 2 is for what is right, and has nothing to do.
            let accepted = matches!(output.status.code(), Some(0 | 2));
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!(accepted, case.is_accepted_by(number), "{} by {number}: {said}", case.name);
        }
    }
}
