//! A full disk, and a journal that has grown large.

use std::fs;
use std::thread;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

use super::super::{Journal, last_run};
use super::records;

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
        assert_eq!(last_run(dir.path(), "web").unwrap().unwrap().records, appended);

        fs::remove_file(&filler).unwrap();
        journal.append(&records()).unwrap();
        appended.extend(records());
        assert_eq!(last_run(dir.path(), "web").unwrap().unwrap().records, appended);
    };
    thread::spawn(on_a_small_disk).join().unwrap();
}
