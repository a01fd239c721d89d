//! An app of one process, and pid files that do not tell the truth.

use std::process::Command;
use std::time::Duration;

use pitstop::process::Process;
use pitstop::service::Service;

use crate::world::{World, hup, in_world, restart};

const APP: &str = r#"
import http.server, os, signal, sys
signal.signal(signal.SIGHUP, lambda *_: None)
if "stubborn" in sys.argv:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"one")
server = http.server.HTTPServer(("127.0.0.1", 8000), Handler)
if sys.argv[1]:
    open(sys.argv[1], "w").write(str(os.getpid()))
server.serve_forever()
"#;

pub(crate) fn start(world: &World, pidfile: &str, manner: &str) -> Vec<String> {
    world.write("app.py", APP);
    let app = world.show("app.py");
    ["python3", &app, pidfile, manner].map(str::to_owned).to_vec()
}

#[test]
fn a_reload_of_a_single_process_is_over_when_the_signal_was_taken() {
    in_world(async |world| {
        let start = start(world, &world.show("web.pid"), "");
        let main = world.apply(&world.signal(restart(start)), 10).await.unwrap();
        assert_eq!(world.apply(&world.signal(hup()), 10).await.unwrap(), main);
        assert!(world.get().ends_with("one"));
    });
}

#[test]
fn an_app_without_a_pid_file_is_known_by_its_port() {
    in_world(async |world| {
        let service = world.signal(restart(start(world, "", "")));
        let first = world.apply(&service, 10).await.unwrap();
        let second = world.apply(&service, 10).await.unwrap();
        assert_ne!(first, second);
        assert!(!first.is_alive().unwrap());
    });
}

#[test]
fn a_process_that_does_not_end_is_named_with_what_to_type() {
    in_world(async |world| {
        let service = world.signal(restart(start(world, &world.show("web.pid"), "stubborn")));
        let main = world.apply(&service, 10).await.unwrap();
        let error = world.apply(&service, 1).await.unwrap_err();
        assert!(error.touched);
        assert!(error.what.contains(&main.pid.to_string()), "{error}");
        assert!(error.hint.unwrap().contains(&format!("kill -KILL {}", main.pid)));
        assert!(main.is_alive().unwrap());
    });
}

#[test]
fn a_pid_file_that_names_somebody_else_is_not_believed() {
    in_world(async |world| {
        let service = world.signal(restart(start(world, "", "")));
        let app = world.apply(&service, 10).await.unwrap();
        let mut bystander = Command::new("sleep").arg("60").spawn().unwrap();
        let process = Process::read(bystander.id()).unwrap().unwrap();
        world.write("web.pid", &bystander.id().to_string());
        for error in [
            service.check().await.unwrap_err(),
            service.identity().await.unwrap_err(),
            world.apply(&service, 5).await.unwrap_err(),
        ] {
            assert!(!error.touched);
            assert!(error.what.contains(&format!("held by process {}", app.pid)), "{error}");
        }
        let unharmed = process.is_alive().unwrap() && app.is_alive().unwrap();
        bystander.kill().unwrap();
        bystander.wait().unwrap();
        assert!(unharmed);
    });
}

#[test]
fn nothing_is_stopped_when_the_start_command_is_missing() {
    in_world(async |world| {
        let good = world.signal(restart(start(world, &world.show("web.pid"), "")));
        let main = world.apply(&good, 10).await.unwrap();
        let bad = world.signal(restart(vec!["/no/such/program".to_owned()]));
        assert!(!bad.check().await.unwrap_err().touched);
        assert!(!world.apply(&bad, 5).await.unwrap_err().touched);
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(main.is_alive().unwrap());
    });
}

#[test]
fn a_stranger_at_the_port_is_said_before_anything_is_stopped() {
    in_world(async |world| {
        let script = "import socket, sys, time\n\
            s = socket.socket()\n\
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)\n\
            s.bind(('127.0.0.1', 8000))\n\
            s.listen()\n\
            time.sleep(600)\n";
        let mut app = Command::new("python3").args(["-c", script]).spawn().unwrap();
        let mut stranger = Command::new("python3").args(["-c", script]).spawn().unwrap();
        world.until_held_by(2).await;
        world.write("web.pid", &app.id().to_string());
        let service = world.signal(restart(vec!["true".to_owned()]));
        let error = world.apply(&service, 5).await.unwrap_err();
        let alive = app.try_wait().unwrap().is_none();
        for child in [&mut app, &mut stranger] {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        assert!(alive && !error.touched);
        assert!(error.what.contains(&stranger.id().to_string()), "{error}");
    });
}
