//! What `pitstop check` looks at beyond the preflight of a run.

use std::time::Duration;

use super::configs::Configs;
use super::{Engine, Finding};
use crate::probe;

/// How long one try of a probe may take.
const TRY: Duration = Duration::from_secs(3);

impl Engine<'_> {
    /// As [`inspect`](Self::inspect); and the probes are asked, once each: who learns by a restart that a probe can't pass has
    /// an app that stays out. The settings, HAProxy's files and the HAProxy that runs are compared.
    pub async fn check(&mut self) -> Vec<Finding> {
        let configs = Configs::read(&self.app.balancers);
        let mut findings = self.inspect_by(&configs).await;
        findings.extend(self.compare(&configs).await);
        let answers = probe::ask_once(&self.probes, TRY).await;
        findings.extend(answers.into_iter().map(|answer| self.found(answer)));
        findings
    }

    /// An app that is down now is no reason to refuse: a restart may be what it needs.
    fn found(&self, answer: probe::Answer) -> Finding {
        let probe::Answer { probe, result } = answer;
        match result {
            Ok(()) => Finding::good(format!("ready: {probe}")),
            Err(failure) => {
                let hint = format!(
                    "unless the app is down, or only its next release can pass, correct [[apps.{}.ready]]: an app that does not \
                     pass after a restart stays out",
                    self.app.name
                );
                Finding::warning(format!("the app does not pass now: {probe}: {failure}"), hint)
            }
        }
    }
}
