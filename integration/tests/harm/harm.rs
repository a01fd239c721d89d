//! A configuration that a rule reports beside one that it does not, both linted and run.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::path::Path;
use std::process::Command;

use haproxy_cfg::Config as Parsed;
use haproxy_cfg::lint::{Context, Redirected, Rule, Severity, lint};
use integration::haproxy::{Config, Version};
use integration::netns::Namespace;
use tempfile::TempDir;

use crate::scene::Scene;

const VERSIONS: [Version; 2] = [Version::Bed("2.6"), Version::Bed("3.2")];

/// What a rule warns of.
pub(crate) struct Harm {
    rule: Rule,
    context: Context,
}

impl Harm {
    /// That of this rule.
    pub(crate) fn of(rule: Rule) -> Self {
        Self { rule, context: Context::default() }
    }

    /// Where `srvs/webA` is taken out by a redirect of port 2001.
    pub(crate) fn with_redirect(mut self) -> Self {
        let (backend, server) = ("srvs".to_owned(), "webA".to_owned());
        self.context.redirects.push(Redirected { backend, server, check_port: 2001 });
        self
    }

    /// Panics unless the same act leads, on every version, to what stands beside each configuration, and this rule alone tells the
    /// bad one from the good one.
    pub(crate) fn shows<T: Debug + PartialEq>(&self, bad: (Config, T), good: (Config, T), act: impl Fn(&Scene) -> T) {
        for version in VERSIONS {
            let [found, accepted] = [&bad, &good].map(|(config, wanted)| {
                let scene = Scene::start(version, config.clone());
                let found = self.findings(&scene.haproxy.config_file());
                assert_eq!(&act(&scene), wanted, "{version:?}: {found:?}");
                found
            });
            self.assert_told_apart(&found, &accepted);
        }
    }

    /// Panics unless every version refuses the bad configuration and accepts the good one, and this rule alone tells one from the other.
    pub(crate) fn prevents_start(&self, bad: &Config, good: &Config) {
        let _namespace = Namespace::new();
        for version in VERSIONS {
            let [found, accepted] = [(bad, false), (good, true)].map(|(config, is_accepted)| {
                let folder = TempDir::new().unwrap();
                let file = folder.path().join("haproxy.cfg");
                std::fs::write(&file, config.render("/tmp/unused.sock")).unwrap();
                let output = Command::new(version.program()).arg("-c").arg("-f").arg(&file).output().unwrap();
                assert_eq!(output.status.success(), is_accepted, "{version:?}: {output:?}");
                self.findings(&file)
            });
            self.assert_told_apart(&found, &accepted);
        }
    }

    fn findings(&self, file: &Path) -> BTreeMap<Rule, Severity> {
        let text = std::fs::read_to_string(file).unwrap();
        let parsed = Parsed::parse("haproxy.cfg", &text).unwrap();
        lint(&parsed, &self.context).into_iter().map(|finding| (finding.rule, finding.severity)).collect()
    }

    fn assert_told_apart(&self, bad: &BTreeMap<Rule, Severity>, good: &BTreeMap<Rule, Severity>) {
        let only_bad: Vec<_> = bad.keys().filter(|rule| !good.contains_key(rule)).collect();
        assert_eq!(only_bad, [&self.rule], "the bad one has {bad:?}, the good one has {good:?}");
        assert!(good.values().all(|severity| *severity == Severity::Note), "the good one has {good:?}");
    }
}
