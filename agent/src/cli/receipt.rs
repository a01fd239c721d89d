//! The receipt, as lines of text.

use std::time::Duration;

use super::printer;
use crate::run::{Receipt, Step};

/// The receipt of one run.
pub(super) fn lines(receipt: &Receipt) -> Vec<String> {
    let shown = |step: &&crate::run::StepTime| !matches!(step.step, Step::Claim | Step::Release | Step::LastLook);
    let steps: Vec<_> = receipt
        .steps
        .iter()
        .filter(shown)
        .map(|step| format!("{} {}", step.step, duration(Duration::from_micros(step.micros))))
        .collect();
    let mut lines = vec![format!("time: {} ({})", duration(receipt.total()), steps.join(", "))];
    if receipt.drained > 0 {
        lines.push(format!("drained: {} in flight at most", receipt.drained));
    }
    for (name, delta) in &receipt.balancers {
        let counters = &delta.counters;
        let least = if delta.complete { "" } else { "at least " };
        lines.push(format!(
            "{}: {least}{} sessions, {} connect errors, {} response errors, {} retries, {} redispatches, {} answers with 5xx",
            printer::escape(name),
            counters.sessions,
            counters.connect_errors,
            counters.response_errors,
            counters.retries,
            counters.redispatches,
            counters.answers_5xx,
        ));
    }
    if !receipt.balancers.is_empty() {
        let (failed, complete) = receipt.failed();
        lines.push(format!("{}{failed} requests failed", if complete { "" } else { "at least " }));
    }
    lines
}

/// A time as people read it: three digits and a unit.
pub(super) fn duration(time: Duration) -> String {
    match time.as_micros() {
        micros @ 0..1_000 => format!("{micros} µs"),
        micros @ 1_000..10_000 => format!("{}.{} ms", micros / 1_000, micros % 1_000 / 100),
        micros @ 10_000..1_000_000 => format!("{} ms", micros / 1_000),
        micros => format!("{}.{:02} s", micros / 1_000_000, micros % 1_000_000 / 10_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_two_or_three_digits_and_a_unit() {
        let text = |micros| duration(Duration::from_micros(micros));
        assert_eq!([text(900), text(1_250), text(45_900), text(6_120_000)], ["900 µs", "1.2 ms", "45 ms", "6.12 s"]);
    }
}
