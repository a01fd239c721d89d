//! A journal that can't be believed, and one that can't be written.

use std::fs;
use std::path::Path;

use crate::page::Section;
use crate::scene::{Scene, small_disk};

#[test]
fn a_damaged_journal_is_moved_away() {
    let mut page = Section::of("The journal is damaged");
    let scene = Scene::new();
    scene.run("pitstop restart web").assert_code(0);
    let journal = Path::new("/var/lib/pitstop/apps/web/journal");
    let mut bytes = fs::read(journal).unwrap();
    let second_line = bytes.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    // Behind the checksum and its blank.
    bytes[second_line + 9] ^= 1;
    fs::write(journal, bytes).unwrap();
    page.run_rest(&scene);
    scene.assert_in();
}

#[test]
fn a_disk_that_is_full_is_given_room() {
    let mut page = Section::of("The journal can't be written");
    let scene = Scene::new();
    small_disk();
    let filler = Path::new("/var/lib/pitstop/filler");
    fs::write(filler, vec![0; 1 << 20]).unwrap_err();
    page.run(&scene);
    scene.assert_in();
    page.run(&scene);
    page.run(&scene);
    fs::remove_file(filler).unwrap();
    page.run_rest(&scene);
    scene.assert_in();
}
