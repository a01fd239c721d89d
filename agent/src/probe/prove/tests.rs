//! What `prove` promises, with scripted probes and a stopped clock.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::sync::Mutex;

use async_trait::async_trait;

use super::*;
use crate::probe::Probe;

/// Answers from a script, and notes when it was asked.
struct Scripted {
    script: fn(u32) -> Answer,
    asked: std::sync::Arc<Mutex<Vec<Instant>>>,
}

enum Answer {
    Pass,
    Fail,
    Hang,
}

#[async_trait]
impl Probe for Scripted {
    fn describe(&self) -> String {
        "scripted".to_owned()
    }

    async fn once(&self, deadline: Instant) -> Result<(), Failure> {
        let count = {
            let mut asked = self.asked.lock().unwrap();
            asked.push(now());
            u32::try_from(asked.len()).unwrap()
        };
        match (self.script)(count) {
            Answer::Pass => Ok(()),
            Answer::Fail => Err(Failure::new(&format!("failure {count}"))),
            Answer::Hang => {
                tokio::time::sleep_until(deadline.into()).await;
                Err(Failure::late("no answer"))
            }
        }
    }
}

async fn run(rise: u32, script: fn(u32) -> Answer) -> (Result<Proof, NotReady>, Vec<Duration>, Vec<Progress>) {
    let asked = std::sync::Arc::new(Mutex::new(Vec::new()));
    let requirement = Requirement {
        probe: Box::new(Scripted { script, asked: std::sync::Arc::clone(&asked) }),
        rise,
        interval: Duration::from_millis(100),
        timeout: Duration::from_secs(1),
    };
    let reports = Mutex::new(Vec::new());
    let result = prove(&[requirement], &|progress| {
        reports.lock().unwrap().push(progress);
    })
    .await;
    let asked = asked.lock().unwrap();
    let pauses = asked.windows(2).map(|pair| pair[1] - pair[0]).collect();
    (result, pauses, reports.into_inner().unwrap())
}

const PASS: Duration = BETWEEN_PASSES;
const FAIL: Duration = Duration::from_millis(100);

/// The clock of a stopped tokio moves in whole milliseconds.
fn assert_pauses(seen: &[Duration], wanted: &[Duration]) {
    let millis = |all: &[Duration]| all.iter().map(Duration::as_millis).collect::<Vec<_>>();
    assert_eq!(millis(seen), millis(wanted));
}

#[tokio::test(start_paused = true)]
async fn after_the_first_pass_the_rest_follow_5_ms_apart() {
    let (result, pauses, reports) = run(3, |_| Answer::Pass).await;
    assert_eq!(result.unwrap().probes[0].tries, 3);
    assert_pauses(&pauses, &[PASS, PASS]);
    let passes: Vec<_> = reports.iter().map(|report| report.passes).collect();
    assert_eq!(passes, [1, 2, 3]);
}

#[tokio::test(start_paused = true)]
async fn a_failure_between_passes_starts_the_count_anew() {
    let flapping = |count| match count {
        1 | 2 | 4 | 5 | 6 => Answer::Pass,
        _ => Answer::Fail,
    };
    let (result, pauses, reports) = run(3, flapping).await;
    assert_eq!(result.unwrap().probes[0].tries, 6);
    assert_pauses(&pauses, &[PASS, PASS, FAIL, PASS, PASS]);
    assert_eq!(reports[2].passes, 0);
    assert_eq!(reports[2].last.as_ref().unwrap().to_string(), "failure 3");
}

#[tokio::test(start_paused = true)]
async fn what_never_passes_is_given_up_at_its_timeout() {
    let (result, pauses, _) = run(1, |_| Answer::Fail).await;
    let unproven = result.unwrap_err().probes.remove(0);
    assert!(unproven.took <= Duration::from_secs(1));
    assert_eq!(pauses.len(), 9);
    assert_eq!(unproven.to_string(), "scripted: failure 10 (10 tries in 900 ms)");
}

#[tokio::test(start_paused = true)]
async fn a_last_try_that_hangs_does_not_hide_what_was_seen_before() {
    let (result, _, _) = run(1, |count| match count {
        1 => Answer::Fail,
        _ => Answer::Hang,
    })
    .await;
    assert_eq!(result.unwrap_err().to_string(), "scripted: no answer; before that: failure 1 (2 tries in 1 s)");
}

#[tokio::test(start_paused = true)]
async fn passes_that_are_too_few_are_counted_in_the_error() {
    let (result, _, _) = run(1000, |_| Answer::Pass).await;
    assert_eq!(result.unwrap_err().to_string(), "scripted: only 200 of 1000 passes (200 tries in 995 ms)");
}
