//! Output on a thread of its own: a terminal that is held (Ctrl-S) or a reader that stalls must not hold up a run.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::Duration;

use super::args::Arguments;
use super::printer;
use crate::events::{Event, Kind, Listener};

/// How long a reader may take for the last of it, once the run is over.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// So much may wait to be read; beyond it progress is dropped, and nothing else.
const BACKLOG: usize = 1000;

/// Passes events on to a listener on another thread.
pub(super) struct Aside {
    events: Sender<Event>,
    waiting: Arc<AtomicUsize>,
    over: Receiver<()>,
}

impl Aside {
    /// To the listener that `make` makes on that thread.
    pub(super) fn new(make: impl FnOnce() -> Box<dyn Listener> + Send + 'static) -> Self {
        let (events, heard) = mpsc::channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        let left = Arc::clone(&waiting);
        let over = begin(move || {
            let mut listener = make();
            for event in heard {
                left.fetch_sub(1, Ordering::Relaxed);
                listener.hear(&event);
            }
        });
        Self { events, waiting, over }
    }

    /// Returns when all is out, or nobody reads.
    pub(super) fn finish(self) {
        drop(self.events);
        let _ = self.over.recv_timeout(LAST_WORDS);
    }
}

impl Listener for Aside {
    fn hear(&mut self, event: &Event) {
        let may_be_dropped = matches!(event.kind, Kind::Draining { .. } | Kind::Proving { .. } | Kind::Weight { .. });
        if may_be_dropped && self.waiting.load(Ordering::Relaxed) >= BACKLOG {
            return;
        }
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let _ = self.events.send(event.clone());
    }
}

/// Writes without being waited for.
pub(super) fn say(words: impl FnOnce() + Send + 'static) {
    drop(begin(words));
}

/// Writes, and waits until all is out or nobody reads.
pub(super) fn say_last(words: impl FnOnce() + Send + 'static) {
    let _ = begin(words).recv_timeout(LAST_WORDS);
}

/// Warns that something is wrong with an app beside a run, and says what to type next; as an `event` where JSON was asked for.
pub(super) fn warn(arguments: &Arguments, event: &str, app: &str, what: String, hint: String) {
    if arguments.is_json() {
        let line = serde_json::json!({"event": event, "app": app, "what": what, "hint": hint});
        return printer::out(&line.to_string());
    }
    say_last(move || {
        let word = printer::paint(&std::io::stderr(), "33", "warning");
        printer::err(&format!("{word}: {}", printer::escape(&what)));
        printer::err(&format!("hint: {}", printer::escape(&hint)));
    });
}

/// The receiver ends with the thread. Where there is no thread to be had, the exit code has to say it all.
fn begin(act: impl FnOnce() + Send + 'static) -> Receiver<()> {
    let (done, over) = mpsc::channel();
    let begun = std::thread::Builder::new().spawn(move || {
        act();
        drop(done);
    });
    if let Err(error) = begun {
        tracing::warn!(%error, "no thread for output");
    }
    over
}
