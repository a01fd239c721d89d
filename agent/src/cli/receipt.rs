//! The receipt, as lines of text.

use std::time::Duration;

use super::phase::Phase;
use super::printer;
use crate::run::{Counters, Outcome, Receipt, StepTime};

/// The receipt of one run; what matters most comes last.
pub(super) fn lines(receipt: &Receipt) -> Vec<String> {
    let mut lines = vec![format!("time: {}{}", duration(receipt.total()), phases(&receipt.steps))];
    if receipt.drained > 0 {
        lines.push(format!("drained: {} in flight at most", receipt.drained));
    }
    for (name, delta) in &receipt.balancers {
        let least = if delta.complete { "" } else { "at least " };
        let exposed = delta.exposed_ms.map(|ms| format!(", exposed for at most {ms} ms after a reload"));
        let exposed = exposed.unwrap_or_default();
        lines.push(format!("{}: {least}{}{exposed}", printer::escape(name), counted(&delta.counters)));
    }
    if !receipt.balancers.is_empty() {
        let (failed, complete) = receipt.failed();
        let least = if complete { "" } else { "at least " };
        let noun = if failed == 1 { "request" } else { "requests" };
        let colour = if failed == 0 { "1;32" } else { "1;31" };
        lines.push(printer::paint(&std::io::stdout(), colour, &format!("{least}{failed} {noun} failed")));
    }
    lines
}

/// The time of each phase, as ` (out 20 ms, drained 1.20 s)`.
fn phases(steps: &[StepTime]) -> String {
    let phases: Vec<String> = steps
        .chunk_by(|one, other| Phase::of(one.step) == Phase::of(other.step))
        .filter_map(|steps| {
            let phase = Phase::of(steps.first()?.step);
            let well = steps.iter().all(|step| step.outcome == Outcome::Done);
            let name = if well { phase.done()? } else { phase.failed() };
            Some(format!("{name} {}", duration(Duration::from_micros(steps.iter().map(|step| step.micros).sum()))))
        })
        .collect();
    if phases.is_empty() { String::new() } else { format!(" ({})", phases.join(", ")) }
}

/// The sessions, and of what may have gone wrong only what did.
fn counted(counters: &Counters) -> String {
    let events = [
        (counters.connect_errors, "connect errors"),
        (counters.response_errors, "response errors"),
        (counters.server_aborts, "cut by the app"),
        (counters.client_aborts, "cut by the client"),
        (counters.retries, "retries"),
        (counters.redispatches, "redispatches"),
        (counters.answers_5xx, "answers with 5xx"),
    ];
    let seen = events.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}"));
    std::iter::once(format!("{} sessions", counters.sessions)).chain(seen).collect::<Vec<_>>().join(", ")
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
    #[test]
    fn what_did_not_happen_is_not_listed() {
        let counters = Counters { sessions: 12, retries: 3, ..Counters::default() };
        assert_eq!(counted(&counters), "12 sessions, 3 retries");
    }
}
