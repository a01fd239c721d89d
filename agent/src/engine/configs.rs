//! The balancers' own configurations: read once, as HAProxy finds them.

use std::collections::BTreeMap;
use std::io;

use haproxy_cfg::{Config, Environment, ParseError};

use super::preflight::Finding;
use super::{Engine, fault};
use crate::config::settings::{Balancer, Label};
use crate::haproxy::{Unreadable, read_files};

/// The configuration of every balancer that has a `config`, each read once.
#[derive(Debug, Default)]
pub(super) struct Configs(BTreeMap<Label, Result<Config, ConfigError>>);

/// Why a balancer's configuration tells nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConfigError {
    #[error("its configuration tells nothing")]
    Unreadable(#[from] Unreadable),
    #[error("its configuration can't be understood")]
    Unparsable(#[from] ParseError),
}

impl ConfigError {
    /// What to type next.
    fn hint(&self, balancer: &Label) -> String {
        let key = format!("`config` in [balancers.{balancer}]");
        match self {
            Self::Unparsable(error) => {
                format!("`haproxy -c -f {}` tells whether HAProxy takes it; else leave out {key}", error.file)
            }
            Self::Unreadable(error) => match error.source.kind() {
                io::ErrorKind::NotFound => format!("correct {key}, or leave it out where the file is on another host"),
                io::ErrorKind::PermissionDenied => {
                    format!("let the user who runs pitstop read it, or leave out {key}")
                }
                _ => format!("look at {key}"),
            },
        }
    }
}

impl Configs {
    /// Reads them.
    pub(super) fn read(balancers: &[Balancer]) -> Self {
        let given = balancers.iter().filter(|balancer| !balancer.config.is_empty());
        Self(given.map(|balancer| (balancer.name.clone(), read(balancer))).collect())
    }

    /// That of one balancer, if it tells anything.
    pub(super) fn of(&self, balancer: &str) -> Option<&Config> {
        let (_, config) = self.0.iter().find(|(name, _)| name.as_str() == balancer)?;
        config.as_ref().ok()
    }
}

fn read(balancer: &Balancer) -> Result<Config, ConfigError> {
    Ok(Config::read(read_files(&balancer.config)?, &Environment::default())?)
}

impl Engine<'_> {
    /// Configurations that tell nothing.
    pub(super) fn inspect_readable(&self, configs: &Configs) -> Vec<Finding> {
        let unreadable = configs.0.iter().filter_map(|(balancer, config)| Some((balancer, config.as_ref().err()?)));
        let finding = |(balancer, error): (&Label, &ConfigError)| {
            let what = format!("balancer {balancer}: {}", fault::chain(error));
            Finding::warning(what, error.hint(balancer))
        };
        unreadable.map(finding).collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use std::fs;
    use std::path::PathBuf;

    use super::*;

    fn balancer(config: &[PathBuf]) -> Balancer {
        let name = "lb1".parse().unwrap();
        Balancer { name, socket: None, master: None, config: config.to_vec(), addresses: Vec::new() }
    }

    #[test]
    fn a_configuration_is_read_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("haproxy.cfg");
        fs::write(&path, "backend srvs\n").unwrap();
        let configs = Configs::read(&[balancer(std::slice::from_ref(&path))]);
        fs::remove_file(&path).unwrap();
        assert!(configs.of("lb1").is_some_and(|config| config.backend("srvs").is_some()));
        assert!(configs.of("lb2").is_none());
    }

    #[test]
    fn files_and_folders_make_one_configuration() {
        let folder = tempfile::tempdir().unwrap();
        let parts = folder.path().join("conf.d");
        fs::create_dir(&parts).unwrap();
        let main = folder.path().join("haproxy.cfg");
        fs::write(&main, "defaults\n retries 7\n").unwrap();
        fs::write(parts.join("10-srvs.cfg"), "backend srvs\n").unwrap();
        fs::write(parts.join("20-notes.txt"), "this is no configuration\n").unwrap();
        let configs = Configs::read(&[balancer(&[main, parts])]);
        let retries = configs.of("lb1").unwrap().backend("srvs").unwrap().settings.retries;
        assert_eq!(retries.known(), Some(&7));
    }

    #[test]
    fn one_that_is_not_there_tells_nothing_and_is_named() {
        let path = PathBuf::from("/none/haproxy.cfg");
        let error = read(&balancer(std::slice::from_ref(&path))).unwrap_err();
        let (what, hint) = (fault::chain(&error), error.hint(&"lb1".parse().unwrap()));
        assert!(what.contains("/none/haproxy.cfg") && what.contains("No such file"), "{what}");
        assert!(hint.contains("`config` in [balancers.lb1]"), "{hint}");
        assert!(Configs::read(&[balancer(&[path])]).of("lb1").is_none());
    }
}
