//! A full disk, and a journal that has grown large.

use std::fs;
use std::io::Write;
use std::thread;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

use super::super::{Entry, Journal, Record, history};
use super::{journal_of, records};
use crate::run::Ending;

#[test]
fn a_full_disk_costs_the_records_that_were_refused_and_no_other() {
    let on_a_small_disk = || {
        unshare(CloneFlags::CLONE_NEWNS).unwrap();
        mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>).unwrap();
        let dir = tempfile::tempdir().unwrap();
        mount(Some("tmpfs"), dir.path(), Some("tmpfs"), MsFlags::empty(), Some("size=64k")).unwrap();
        let mut journal = Journal::open(dir.path(), "web", "one").unwrap();
        let mut appended = Vec::new();
        // Fills a page or so before the disk is full, so that a record is cut within.
        let filler = dir.path().join("filler");
        fs::write(&filler, vec![0; 40 << 10]).unwrap();
        let refused = loop {
            match journal.append(&records()) {
                Ok(()) => appended.extend(records()),
                Err(error) => break error,
            }
            assert!(appended.len() < 10_000, "the disk is never full");
        };
        assert!(refused.to_string().contains("No space left"), "{refused}");
        assert_eq!(history(dir.path(), "web").unwrap().last().unwrap().records, appended);

        fs::remove_file(&filler).unwrap();
        journal.append(&records()).unwrap();
        appended.extend(records());
        assert_eq!(history(dir.path(), "web").unwrap().last().unwrap().records, appended);
    };
    thread::spawn(on_a_small_disk).join().unwrap();
}

#[test]
fn a_run_whose_beginning_was_refused_leaves_nothing_that_hides_the_run_before_it() {
    let dir = tempfile::tempdir().unwrap();
    Journal::open(dir.path(), "web", "dies").unwrap().append(&records()).unwrap();
    let mut journal = Journal::open(dir.path(), "web", "refused").unwrap();
    // The disk had no room for its beginning.
    journal.append(&records()[1..]).unwrap_err();
    assert_eq!(history(dir.path(), "web").unwrap().last().unwrap().run, "dies");
    // What was written before that was so counts no more.
    let headless = Entry { v: 1, seq: 1, run: "headless".into(), at: "now".into(), record: records()[1].clone() };
    let mut file = fs::OpenOptions::new().append(true).open(journal_of(&dir)).unwrap();
    file.write_all(headless.to_line().unwrap().as_bytes()).unwrap();
    assert_eq!(history(dir.path(), "web").unwrap().interrupted().unwrap().run, "dies");
}

/// A journal above 4 MiB whose last run ended so, or did not.
fn large_journal(dir: &tempfile::TempDir, ending: Option<Ending>) {
    let mut journal = Journal::open(dir.path(), "web", "long").unwrap();
    let what = "x".repeat(64 << 10);
    let acts = (0..65).map(|_| Record::ActIntent { on: "lb1".into(), what: what.clone() });
    let begin = records().into_iter().take(1);
    let records: Vec<_> = begin.chain(acts).chain(ending.map(|ending| Record::End { ending, out: false })).collect();
    journal.append(&records).unwrap();
}

#[test]
fn a_large_journal_that_owes_nothing_is_set_aside_and_one_old_file_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let old = journal_of(&dir).with_file_name("journal.1");
    fs::create_dir_all(old.parent().unwrap()).unwrap();
    fs::write(&old, "older").unwrap();
    large_journal(&dir, Some(Ending::Done));
    let was = fs::read(journal_of(&dir)).unwrap();

    Journal::open(dir.path(), "web", "two").unwrap().append(&records()).unwrap();
    assert_eq!(history(dir.path(), "web").unwrap().last().unwrap().run, "two");
    assert!(fs::metadata(journal_of(&dir)).unwrap().len() < 4096);
    assert!(fs::read(&old).unwrap() == was);
}

#[test]
fn a_large_journal_that_owes_something_or_can_not_be_set_aside_goes_on() {
    for ending in [None, Some(Ending::StaysOut)] {
        let dir = tempfile::tempdir().unwrap();
        large_journal(&dir, ending);
        Journal::open(dir.path(), "web", "two").unwrap().append(&records()).unwrap();
        assert_eq!(history(dir.path(), "web").unwrap().debt.unwrap().run, "long", "{ending:?}");
    }
    let dir = tempfile::tempdir().unwrap();
    large_journal(&dir, Some(Ending::Done));
    let len = fs::metadata(journal_of(&dir)).unwrap().len();
    fs::create_dir(journal_of(&dir).with_file_name("journal.1")).unwrap();
    Journal::open(dir.path(), "web", "two").unwrap().append(&records()).unwrap();
    assert!(fs::metadata(journal_of(&dir)).unwrap().len() > len);
}
