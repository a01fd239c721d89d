//! The kinds of clients, and what each asks for.

use std::cell::RefCell;
use std::io::Write as _;
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rand::Rng;
use serde::{Deserialize, Serialize};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::LocalSet;
use tokio::time::sleep;

use super::client::{Client, Question};
use super::record::{Outcome, Record, Summary};
use super::{Line, Options};
use crate::content;

/// A kind of client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Short GETs on one connection.
    Short,
    /// Short GETs, each on a new connection.
    PerRequest,
    /// GETs that take seconds.
    Long,
    /// Keeps connection and cookie; half of its pauses are long.
    Sticky,
    /// Keeps its cookie only; thinks longer.
    StickyPerRequest,
    /// POSTs bodies, some slowly.
    Upload,
}

impl Role {
    const ALL: [Self; 6] =
        [Self::Short, Self::PerRequest, Self::Long, Self::Sticky, Self::StickyPerRequest, Self::Upload];

    fn keeps_cookie(self) -> bool {
        matches!(self, Self::Sticky | Self::StickyPerRequest)
    }

    fn keeps_connection(self) -> bool {
        !matches!(self, Self::PerRequest | Self::StickyPerRequest)
    }

    /// The pause before the next request.
    fn pause(self, think: u64) -> Duration {
        let mut random = rand::rng();
        let factor = match self {
            Self::StickyPerRequest => 10,
            Self::Sticky if random.random() => 10,
            _ => 1,
        };
        Duration::from_millis(random.random_range(0..=2 * think * factor))
    }

    /// What to ask next, and how long that takes at least.
    fn question(self, options: &Options, id: &str) -> (Question, Duration) {
        let mut random = rand::rng();
        let ms = match self {
            Self::Long if options.long_exactly => options.long_max,
            Self::Long => random.random_range(options.long_max / 4..=options.long_max),
            Self::Upload => random.random_range(0..=200),
            _ => random.random_range(0..=10),
        };
        let duration = Duration::from_millis(ms);
        if options.static_site {
            let page = if self == Self::Long { "/slow" } else { "/fast" };
            let question = Question {
                target: page.to_owned(),
                upload: None,
                slowly: Duration::ZERO,
                answer: content::body(content::STATIC_ID, content::STATIC_BYTES),
            };
            return (question, Duration::ZERO);
        }
        if self == Self::Upload {
            // In half of the cases the client is slow, in the others the app.
            let client_is_slow: bool = random.random();
            let bytes = content::body(id, random.random_range(1..=256 * 1024));
            let app_waits = if client_is_slow { 0 } else { ms };
            let receipt = content::upload_receipt(id, bytes.len(), crc32fast::hash(&bytes));
            let question = Question {
                target: format!("/upload?id={id}&ms={app_waits}"),
                upload: Some(Bytes::from(bytes)),
                slowly: if client_is_slow { duration } else { Duration::ZERO },
                answer: receipt.into_bytes(),
            };
            return (question, duration);
        }
        let bytes = random.random_range(1..=32 * 1024);
        let question = Question {
            target: format!("/work?id={id}&ms={ms}&bytes={bytes}"),
            upload: None,
            slowly: Duration::ZERO,
            answer: content::body(id, bytes),
        };
        (question, duration)
    }
}

pub(super) async fn run(options: Options) -> Summary {
    let record = Rc::new(RefCell::new(Record::new()));
    let (stop, stopped) = watch::channel(false);
    let clients = LocalSet::new();
    for role in Role::ALL {
        for number in 0..options.count(role) {
            let name = format!("{role:?}{number}");
            clients.spawn_local(client(role, name, options.clone(), Rc::clone(&record), stopped.clone()));
        }
    }
    drop(stopped);
    clients
        .run_until(async {
            tokio::select! {
                () = until_told() => {}
                () = sleep(Duration::from_secs(options.seconds)) => {}
                () = report(&record, options.progress) => {}
            }
            stop.send_replace(true);
            stop.closed().await;
        })
        .await;
    // The clients are gone, and with them their shares.
    drop(clients);
    let record = Rc::into_inner(record).expect("only ours is left");
    let summary = record.into_inner().summary();
    print(&Line::Summary(Box::new(summary.clone())));
    summary
}

async fn client(
    role: Role,
    name: String,
    options: Options,
    record: Rc<RefCell<Record>>,
    mut stopped: watch::Receiver<bool>,
) {
    let mut client = Client::new(options.target, role.keeps_cookie());
    for number in 0_u64.. {
        let pause = role.pause(options.think);
        tokio::select! {
            biased;
            _ = stopped.wait_for(|stopped| *stopped) => break,
            () = sleep(pause) => {}
        }
        let (question, asked) = role.question(&options, &format!("{name}.{number}"));
        if !role.keeps_connection() {
            client.close();
        }
        let begun = Instant::now();
        record.borrow_mut().in_flight += 1;
        let result = client.ask(&question).await;
        let mut record = record.borrow_mut();
        record.in_flight -= 1;
        record.add(Outcome { role, target: question.target, begun, asked, reused: client.reused, result });
        record.unsent += std::mem::take(&mut client.unsent);
    }
}

async fn until_told() {
    let mut term = signal(SignalKind::terminate()).expect("listen to TERM");
    let mut interrupt = signal(SignalKind::interrupt()).expect("listen to INT");
    tokio::select! {
        _ = term.recv() => {}
        _ = interrupt.recv() => {}
    }
}

/// Prints progress until the reader is gone.
async fn report(record: &RefCell<Record>, every: u64) {
    if every == 0 {
        return std::future::pending().await;
    }
    loop {
        sleep(Duration::from_millis(every)).await;
        let progress = record.borrow().progress();
        if !print(&Line::Progress(progress)) {
            return;
        }
    }
}

fn print(line: &Line) -> bool {
    let text = serde_json::to_string(line).expect("plain data");
    let mut output = std::io::stdout().lock();
    writeln!(output, "{text}").is_ok() && output.flush().is_ok()
}
