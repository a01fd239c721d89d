//! A strict HTTP app for tests: what it answers can be checked to the byte, and TERM ends it at once, whatever is in
//! flight.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test program fails by panicking"
)]

use std::collections::HashMap;
use std::convert::Infallible;
use std::fs::File;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use bytes::Bytes;
use clap::Parser;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use integration::content;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

/// GET /health, GET /work?id=ID&ms=N&bytes=N, POST /upload?id=ID&ms=N, and GET /echo with an upgrade to a conversation.
#[derive(Debug, Clone, Parser)]
#[command(args_override_self = true)]
struct Options {
    /// Where to take traffic.
    #[arg(long)]
    listen: SocketAddr,
    /// Sent as X-App with every answer.
    #[arg(long, default_value = "app")]
    name: String,
    /// Written once the process has started; left behind, as most apps that die do.
    #[arg(long)]
    pidfile: Option<PathBuf>,
    /// Return at once, with the app in a session of its own.
    #[arg(long)]
    daemon: bool,
    /// Standard output and error of the daemon.
    #[arg(long)]
    log: Option<PathBuf>,
    /// On TERM, finish what is in flight first.
    #[arg(long)]
    graceful: bool,
    /// Milliseconds before listening.
    #[arg(long, default_value_t = 0)]
    start_delay: u64,
    /// Milliseconds after the start during which all answers are 503.
    #[arg(long, default_value_t = 0)]
    ready_after: u64,
    /// End with status 1 instead of listening.
    #[arg(long)]
    crash_at_start: bool,
    /// Milliseconds after which to end with status 1.
    #[arg(long)]
    crash_after: Option<u64>,
    /// /health answers 503, all else works.
    #[arg(long)]
    health_only_broken: bool,
    /// Further options, one a line, read at each start if the file is there.
    #[arg(long)]
    more: Option<PathBuf>,
    /// Seconds after which it ends by itself, in case nobody is left to end it.
    #[arg(long, default_value_t = 3600)]
    lifetime: u64,
    /// What --daemon starts.
    #[arg(long, hide = true)]
    session: bool,
}

fn main() -> ExitCode {
    let mut arguments: Vec<String> = std::env::args().collect();
    let mut options = Options::parse_from(&arguments);
    if options.daemon {
        return daemonise(&options);
    }
    if let Some(more) = options.more.as_ref().and_then(|file| std::fs::read_to_string(file).ok()) {
        arguments.extend(more.lines().map(str::to_owned));
        options = Options::parse_from(arguments);
    }
    if options.session {
        nix::unistd::setsid().expect("a session of its own");
    }
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(serve(options))
}

#[expect(clippy::zombie_processes, reason = "we end at once, and it is to live on")]
fn daemonise(options: &Options) -> ExitCode {
    let log = options.log.clone().unwrap_or_else(|| "/dev/null".into());
    let log = File::options().append(true).create(true).open(log).expect("open the log");
    Command::new(std::env::current_exe().expect("our own path"))
        .args(std::env::args().skip(1).filter(|argument| argument != "--daemon"))
        .arg("--session")
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("share the log"))
        .stderr(log)
        .spawn()
        .expect("start the daemon");
    ExitCode::SUCCESS
}

async fn serve(options: Options) -> ExitCode {
    let started = Instant::now();
    let mut term = signal(SignalKind::terminate()).expect("listen to TERM");
    if let Some(pidfile) = &options.pidfile {
        // Renamed, so that nobody reads half a number.
        let new = pidfile.with_extension("new");
        std::fs::write(&new, format!("{}\n", std::process::id())).expect("write the pid file");
        std::fs::rename(&new, pidfile).expect("put the pid file in place");
    }
    tokio::select! {
        _ = term.recv() => return ExitCode::SUCCESS,
        () = sleep(Duration::from_millis(options.start_delay)) => {}
    }
    if options.crash_at_start {
        eprintln!("crashing at start, as told");
        return ExitCode::FAILURE;
    }
    let listener = TcpListener::bind(options.listen).await.expect("listen");
    let app = App { ready_at: started + Duration::from_millis(options.ready_after), options: options.clone() };
    let crash = options.crash_after.map_or(Duration::MAX, Duration::from_millis);
    let (ending, connections) = watch::channel(false);
    tokio::select! {
        _ = term.recv() => {}
        () = accept(listener, app, connections) => {}
        () = sleep(Duration::from_secs(options.lifetime)) => {}
        () = sleep(crash) => {
            eprintln!("crashing, as told");
            return ExitCode::FAILURE;
        }
    }
    if options.graceful {
        ending.send_replace(true);
        // Over when the last connection has dropped its end.
        ending.closed().await;
    }
    ExitCode::SUCCESS
}

async fn accept(listener: TcpListener, app: App, ending: watch::Receiver<bool>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        stream.set_nodelay(true).ok();
        let app = app.clone();
        let mut ending = ending.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let app = app.clone();
                async move { Ok::<_, Infallible>(app.answer(request).await) }
            });
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service).with_upgrades();
            tokio::pin!(connection);
            tokio::select! {
                _ = &mut connection => return,
                _ = ending.wait_for(|ending| *ending) => connection.as_mut().graceful_shutdown(),
            }
            connection.await.ok();
        });
    }
}

#[derive(Clone)]
struct App {
    options: Options,
    ready_at: Instant,
}

impl App {
    async fn answer(&self, mut request: Request<Incoming>) -> Response<Full<Bytes>> {
        if request.uri().path() == "/echo" {
            return converse(&mut request);
        }
        let query: HashMap<String, String> = request
            .uri()
            .query()
            .unwrap_or_default()
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect();
        let number = |key: &str, default: u64| query.get(key).and_then(|value| value.parse().ok()).unwrap_or(default);
        let id = query.get("id").map_or("work", String::as_str);
        let pause = Duration::from_millis(number("ms", 0));
        let (status, body) = match (request.method(), request.uri().path()) {
            _ if Instant::now() < self.ready_at => (StatusCode::SERVICE_UNAVAILABLE, "not ready\n".into()),
            (&Method::GET, "/health") if self.options.health_only_broken => {
                (StatusCode::SERVICE_UNAVAILABLE, "broken, as told\n".into())
            }
            (&Method::GET, "/health") => (StatusCode::OK, "ok\n".into()),
            (&Method::GET, "/work") => {
                sleep(pause).await;
                let bytes = usize::try_from(number("bytes", 1024)).unwrap_or(0);
                (StatusCode::OK, content::body(id, bytes))
            }
            (&Method::POST, "/upload") => match receive(request.into_body(), pause).await {
                Some((length, sum)) => (StatusCode::OK, content::upload_receipt(id, length, sum).into()),
                None => (StatusCode::BAD_REQUEST, "body cut\n".into()),
            },
            _ => (StatusCode::NOT_FOUND, "no such page\n".into()),
        };
        Response::builder()
            .status(status)
            .header("x-app", &self.options.name)
            .header("x-pid", std::process::id())
            .body(Full::from(body))
            .expect("a response from checked parts")
    }
}

/// Leaves HTTP and repeats what it hears until the other side closes.
fn converse(request: &mut Request<Incoming>) -> Response<Full<Bytes>> {
    let upgraded = hyper::upgrade::on(request);
    tokio::spawn(async move {
        if let Ok(stream) = upgraded.await {
            let (mut from, mut to) = tokio::io::split(TokioIo::new(stream));
            tokio::io::copy(&mut from, &mut to).await.ok();
        }
    });
    Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header("connection", "upgrade")
        .header("upgrade", "echo")
        .body(Full::default())
        .expect("a response from checked parts")
}

/// Reads a body, beginning only after `pause`, so that its sender has to wait. `None` when it was cut.
async fn receive(mut body: Incoming, pause: Duration) -> Option<(usize, u32)> {
    sleep(pause).await;
    let mut sum = crc32fast::Hasher::new();
    let mut length = 0;
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame.ok()?.into_data() {
            length += data.len();
            sum.update(&data);
        }
    }
    Some((length, sum.finalize()))
}
