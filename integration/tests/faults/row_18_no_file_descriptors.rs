//! No file descriptors left.

use std::fs;
use std::time::Duration;

use integration::netns;
use integration::pitstop::Run;
use integration::request::Pending;
use integration::world::{Builder, Redirects, World};

use crate::scene::{Scene, wait_for_new_process};

fn builder() -> Builder {
    World::builder().redirects(Redirects::ByPitstop).pitstop_line("hold = \"1s\"")
}

fn limit(run: &Run, descriptors: usize) {
    netns::run(&["prlimit", "--pid", &run.pid().to_string(), &format!("--nofile={descriptors}")]);
}

fn open(run: &Run) -> usize {
    fs::read_dir(format!("/proc/{}/fd", run.pid())).unwrap().count()
}

#[test]
fn row_18_experiment() {
    for descriptors in [4, 8, 12, 14, 16, 18, 20, 24, 32] {
        for step in ["soften", "drain", "restart", "ready", "await_in"] {
            let scene = Scene::new(builder());
            scene.world.apps[0].at_next_start(&["--ready-after=1000"]);
            let old = scene.pid();
            let request = Pending::work(scene.world.frontend(), Duration::from_secs(2), Some("SERVER=A"));
            let mut run = scene.world.pitstop.start(&["--output", "json", "restart", "webA"]);
            run.wait_for_step(step);
            let before = open(&run);
            limit(&run, descriptors);
            let outcome = run.wait();
            let trouble: Vec<_> = outcome
                .events()
                .into_iter()
                .filter(|e| e["error"].is_object())
                .map(|e| format!("{} {}: {}", e["step"], e["outcome"], e["error"]["what"]))
                .collect();
            println!(
                "limit {descriptors} at {step}: open {before}, code {:?}, same process {}, alerts {:?}, {trouble:#?}",
                outcome.code,
                scene.pid() == old,
                scene.alerts()
            );
            request.answer();
            let back = scene.run(&["in", "webA"]);
            println!("   in: {:?}", back.code);
            let summary = scene.load.stop();
            println!("   failed: {}", summary.failed);
        }
    }
    let _ = wait_for_new_process;
}
