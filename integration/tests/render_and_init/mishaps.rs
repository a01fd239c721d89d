//! What goes wrong while `init --write` is at work leaves all files as they were.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use integration::wait;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use crate::files::scene;
use crate::scene::{SOON, Scene, assert_untouched, names_in, text};

/// A HAProxy that reads the configuration only when it is told to.
struct Waiting {
    folder: tempfile::TempDir,
}

impl Waiting {
    fn new(scene: &Scene) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let waiting = Self { folder };
        mkfifo(&waiting.at("go"), Mode::S_IRWXU).unwrap();
        let (begun, go, program) = (waiting.at("begun"), waiting.at("go"), scene.version.program());
        let (begun, go, program) = (begun.display(), go.display(), program.display());
        let script = format!("#!/bin/sh\n: >{begun}\nread -r line <{go}\nexec {program} \"$@\"\n");
        // Written by another process: a descriptor of ours that a child of another test inherits would keep it from being run.
        let write = "printf %s \"$1\" >\"$2\" && chmod 755 \"$2\"";
        let status = Command::new("sh").args(["-c", write, "sh", &script]).arg(waiting.program()).status();
        assert!(status.unwrap().success());
        waiting
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn program(&self) -> PathBuf {
        self.at("haproxy")
    }

    fn wait_until_begun(&self) {
        wait::until("HAProxy is asked", SOON, || self.at("begun").exists().then_some(()));
    }

    fn go(&self) {
        std::fs::write(self.at("go"), "\n").unwrap();
    }
}

/// A file as a container's runtime mounts a single one: nothing can take its place.
struct Mounted<'f>(&'f Path);

impl<'f> Mounted<'f> {
    /// For this thread and the programs that it starts.
    fn over_itself(file: &'f Path) -> Self {
        let none: Option<&str> = None;
        unshare(CloneFlags::CLONE_NEWNS).unwrap();
        mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).unwrap();
        mount(Some(file), file, none, MsFlags::MS_BIND, none).unwrap();
        Self(file)
    }
}

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        umount2(self.0, MntFlags::MNT_DETACH).ok();
    }
}

#[test]
fn of_two_at_once_one_is_refused_and_nothing_is_lost() {
    let scene = scene();
    let before = scene.file();
    let (from, waiting) = (scene.haproxy.config_file(), Waiting::new(&scene));
    let program = waiting.program();
    let arguments = ["init", "--from", text(&from), "--host", "127.0.0.1", "--haproxy", text(&program), "--write"];
    let first = scene.pitstop.start(&arguments);
    waiting.wait_until_begun();
    let candidates = names_in(scene.haproxy.folder());
    scene.init(&["--write"]).assert_code(4).assert_says(&["another `pitstop init --write`", "nothing was touched"]);
    assert_eq!(names_in(scene.haproxy.folder()), candidates, "the first one's text is still there");
    assert_eq!(scene.file(), before);
    waiting.go();
    first.wait().assert_code(0);
    assert!(String::from_utf8(scene.file()).unwrap().contains("check port 2001"));
    assert_eq!(scene.copy("").unwrap(), before);
}

#[test]
fn what_somebody_else_writes_meanwhile_is_not_written_over() {
    let scene = scene();
    let (from, waiting) = (scene.haproxy.config_file(), Waiting::new(&scene));
    let program = waiting.program();
    let arguments = ["init", "--from", text(&from), "--host", "127.0.0.1", "--haproxy", text(&program), "--write"];
    let run = scene.pitstop.start(&arguments);
    waiting.wait_until_begun();
    let theirs = [scene.file(), b"# theirs\n".to_vec()].concat();
    std::fs::write(&from, &theirs).unwrap();
    waiting.go();
    run.wait().assert_code(2).assert_says(&["changed by somebody else"]);
    assert_untouched(&scene, &theirs);
    assert!(!scene.pitstop.config().exists());
}

#[test]
fn a_file_of_the_name_that_the_new_text_has_is_neither_taken_nor_removed() {
    let scene = scene();
    let theirs = scene.haproxy.folder().join("haproxy.cfg.pitstop-candidate");
    std::fs::write(&theirs, "theirs").unwrap();
    scene.init(&["--write"]).assert_code(0);
    assert_eq!(std::fs::read(&theirs).unwrap(), b"theirs");
}

#[test]
fn where_one_of_several_files_can_not_be_replaced_all_are_as_they_were() {
    let scene = scene();
    let folder = scene.haproxy.folder().join("conf.d");
    std::fs::create_dir(&folder).unwrap();
    let written = String::from_utf8(scene.file()).unwrap();
    let (first, second) = (folder.join("10.cfg"), folder.join("20.cfg"));
    std::fs::write(&first, &written).unwrap();
    std::fs::write(&second, "backend more\n    mode http\n    server webC 127.0.0.1:1001 check\n").unwrap();
    let before = [&first, &second].map(|path| std::fs::read(path).unwrap());
    let _mounted = Mounted::over_itself(&second);
    let program = scene.version.program();
    let arguments = ["init", "--from", text(&folder), "--host", "127.0.0.1", "--haproxy", text(&program), "--write"];
    let outcome = scene.pitstop.run(&arguments);
    outcome.assert_code(1).assert_says(&["20.cfg could not be replaced", "HAProxy's files are as they were"]);
    assert_eq!([&first, &second].map(|path| std::fs::read(path).unwrap()), before);
    assert_eq!(names_in(&folder), ["10.cfg", "20.cfg"]);
    assert!(!scene.pitstop.config().exists());
}

#[test]
fn where_pitstop_toml_can_not_be_written_haproxys_files_are_not_changed() {
    let scene = scene();
    let before = scene.file();
    let outcome = init_with(&scene, Path::new("/proc/nope/pitstop.toml"));
    assert_eq!(outcome, Some(1));
    assert_untouched(&scene, &before);
}

#[test]
fn a_pitstop_toml_that_can_not_be_looked_at_counts_as_there() {
    let scene = scene();
    let before = scene.file();
    let looped = scene.pitstop.state().join("loop");
    symlink("loop", &looped).unwrap();
    assert_eq!(init_with(&scene, &looped.join("pitstop.toml")), Some(1));
    assert_untouched(&scene, &before);
}

#[test]
fn where_haproxy_refuses_no_folder_for_pitstop_toml_is_left_behind() {
    let scene = scene();
    let written = String::from_utf8(scene.file()).unwrap();
    std::fs::write(scene.haproxy.config_file(), format!("{written}\nbackend other\n    blance x\n")).unwrap();
    let folder = scene.pitstop.state().join("a");
    assert_eq!(init_with(&scene, &folder.join("b/pitstop.toml")), Some(2));
    assert!(!folder.exists());
}

/// The exit code of `init --write` with this `pitstop.toml`.
fn init_with(scene: &Scene, config: &Path) -> Option<i32> {
    let (from, program) = (scene.haproxy.config_file(), scene.version.program());
    let mut command = Command::new(integration::binaries::ours("pitstop"));
    command.arg("--config").arg(config).args(["init", "--host", "127.0.0.1", "--write", "--from"]);
    command.arg(from).arg("--haproxy").arg(program).status().unwrap().code()
}
