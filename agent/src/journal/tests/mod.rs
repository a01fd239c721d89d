//! Promises of the journal and the claim, on a real file system.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod debt;
mod recovery;
mod writer;

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use proptest::prelude::*;

use super::lock::{Lock, try_lock};
use super::record::Entry;
use super::{Claim, ClaimError, Holder, Journal, JournalError, Record, Share, app_dir, history};
use crate::run::{Ending, Goal, Outcome, Step};

fn records() -> Vec<Record> {
    vec![
        Record::Begin {
            goal: Goal::Restart,
            who: "me".into(),
            reason: None,
            boot_id: "b".into(),
            until: None,
            recovers: None,
        },
        Record::StepIntent { step: Step::Soften },
        Record::ActIntent { on: "lb1".into(), what: "set server srvs/webA state drain".into() },
        Record::StepOutcome {
            step: Step::Soften,
            outcome: Outcome::Done,
            why: Some("a \"reason\"\nwith lines".into()),
        },
    ]
}

fn journal_of(dir: &tempfile::TempDir) -> PathBuf {
    app_dir(dir.path(), "web").join("journal")
}

fn holder(run: &str) -> Holder {
    Holder {
        pid: 1,
        run: run.into(),
        goal: Goal::Restart,
        who: "me".into(),
        since: "now".into(),
        reason: Some("deploy".into()),
        step: Some(Step::Drain),
    }
}

#[test]
fn what_was_appended_is_read_back_and_only_the_last_run_counts() {
    let dir = tempfile::tempdir().unwrap();
    let mut first = Journal::open(dir.path(), "web", "one").unwrap();
    first.append(&records()).unwrap();
    first.append(&[Record::End { ending: Ending::Done, out: false }]).unwrap();
    assert!(history(dir.path(), "web").unwrap().last().unwrap().ended());

    Journal::open(dir.path(), "web", "two").unwrap().append(&records()).unwrap();
    let last = history(dir.path(), "web").unwrap().chain.pop().unwrap();
    assert_eq!((last.run.as_str(), &last.records, last.ended()), ("two", &records(), false));
}

#[test]
fn a_torn_last_line_is_dropped_and_written_over() {
    let dir = tempfile::tempdir().unwrap();
    Journal::open(dir.path(), "web", "one").unwrap().append(&records()).unwrap();
    let torn = b"0badcafe {\"v\":1,\"seq\":5,\"ru";
    fs::OpenOptions::new().append(true).open(journal_of(&dir)).unwrap().write_all(torn).unwrap();
    assert_eq!(history(dir.path(), "web").unwrap().last().unwrap().records, records());

    Journal::open(dir.path(), "web", "two").unwrap().append(&records()).unwrap();
    assert_eq!(history(dir.path(), "web").unwrap().last().unwrap().run, "two");
}

#[test]
fn a_damaged_line_in_the_middle_is_refused_and_named() {
    let dir = tempfile::tempdir().unwrap();
    Journal::open(dir.path(), "web", "one").unwrap().append(&records()).unwrap();
    let text = fs::read_to_string(journal_of(&dir)).unwrap().replacen("soften", "harden", 1);
    fs::write(journal_of(&dir), text).unwrap();
    match history(dir.path(), "web") {
        Err(JournalError::Damaged { line: 2, why, .. }) => assert!(why.contains("checksum"), "{why}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_second_claim_is_told_who_holds_the_first_until_it_is_given_back() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(Claim::holder(dir.path(), "web"), None);
    let claim = Claim::take(dir.path(), "web", holder("one")).await.unwrap();
    assert_eq!(Claim::holder(dir.path(), "web"), Some(holder("one")));
    assert!(Claim::is_held(dir.path(), "web") && Share::take(dir.path(), "web").is_none());
    match Claim::take(dir.path(), "web", holder("two")).await {
        Err(error @ ClaimError::Held(_)) => {
            let text = error.to_string();
            assert!(text.contains("one") && text.contains("\"drain\"") && text.contains("deploy"), "{text}");
        }
        other => panic!("{other:?}"),
    }
    drop(claim);
    assert_eq!(Claim::holder(dir.path(), "web"), None);
    Claim::take(dir.path(), "web", holder("two")).await.unwrap();
    // Whoever has it in the moment before it has written its name is not taken for the one before.
    let nameless = fs::OpenOptions::new().write(true).open(app_dir(dir.path(), "web").join("claim")).unwrap();
    assert!(try_lock(&nameless, Lock::Exclusive).unwrap());
    assert_eq!((Claim::holder(dir.path(), "web"), Claim::is_held(dir.path(), "web")), (None, true));
    assert!(matches!(Claim::take(dir.path(), "web", holder("three")).await, Err(ClaimError::Held(None))));
}

#[tokio::test]
async fn a_run_waits_for_a_keeper_in_the_midst_of_an_act_and_nobody_takes_that_for_a_hold() {
    let dir = tempfile::tempdir().unwrap();
    assert!(Share::take(dir.path(), "web").is_none(), "it creates nothing");
    drop(Claim::take(dir.path(), "web", holder("one")).await.unwrap());
    let shares = [Share::take(dir.path(), "web").unwrap(), Share::take(dir.path(), "web").unwrap()];
    assert_eq!(Claim::holder(dir.path(), "web"), None);
    assert!(!Claim::is_held(dir.path(), "web"));
    let run = Claim::take(dir.path(), "web", holder("two"));
    let act = async {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        drop(shares);
    };
    let (run, ()) = tokio::join!(run, act);
    assert!(run.is_ok() && Share::take(dir.path(), "web").is_none());
}

proptest! {
    #[test]
    fn no_line_makes_the_reader_panic(line in ".*", bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Entry::from_line(&line);
        let _ = Entry::from_line(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn one_changed_byte_is_always_noticed(position in 0_usize..1000, byte in any::<u8>()) {
        let record = records().remove(2);
        let entry = Entry { v: 1, seq: 3, run: "r".into(), at: "t".into(), record };
        let mut line = entry.to_line().unwrap().trim_end().as_bytes().to_vec();
        let position = position % line.len();
        prop_assume!(line[position] != byte);
        line[position] = byte;
        // A capital digit of the checksum is the same digit.
        let read = Entry::from_line(&String::from_utf8_lossy(&line));
        prop_assert!(read.is_err() || read == Ok(entry));
    }
}
