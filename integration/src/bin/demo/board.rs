//! What is to be seen while apps are restarted: how each is, who answers how much, and what failed.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use integration::load::{Load, Progress};
use integration::terminal::{Style, Terminal, bars, number, tame, time};

/// The pause between two pictures.
pub(crate) const FRAME: Duration = Duration::from_millis(100);
/// Each bar shows the answers of so many pictures.
const FRAMES_PER_BAR: usize = 2;
const BARS: usize = 30;

/// How an app is.
#[derive(Debug, Clone)]
pub(crate) enum Look {
    /// As it was.
    Untouched,
    /// In the middle, with words.
    Restarting(String),
    /// Restarted, and how long that took.
    Renewed(Duration),
    /// Something went wrong.
    Broken(String),
}

/// One act's board.
pub(crate) struct Board {
    title: &'static str,
    steps: &'static str,
    begun: Instant,
    state: Mutex<State>,
}

struct State {
    apps: Vec<(String, Look)>,
    over: bool,
}

/// The last answers of each app, and the last failures, by bar.
struct Traces {
    apps: Vec<VecDeque<u64>>,
    failed: VecDeque<u64>,
    before: Progress,
}

impl Board {
    pub(crate) fn new(title: &'static str, steps: &'static str, apps: &[String]) -> Self {
        let apps = apps.iter().map(|name| (name.clone(), Look::Untouched)).collect();
        Self { title, steps, begun: Instant::now(), state: Mutex::new(State { apps, over: false }) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics inside")
    }

    pub(crate) fn look(&self, app: usize, look: Look) {
        self.state().apps[app].1 = look;
    }

    pub(crate) fn end(&self) {
        self.state().over = true;
    }

    /// Draws until the act is over; where nothing can be drawn again, writes a line for each change.
    pub(crate) fn paint_until_over(&self, terminal: &mut Terminal, load: &Load) {
        let mut traces = Traces::new(self.state().apps.len());
        let mut told = String::new();
        if !terminal.is_live() {
            terminal.print(&[String::new(), format!("  {}: {}", self.title, self.steps)]);
        }
        for frame in 0_usize.. {
            let over = self.state().over;
            let progress = load.progress();
            if frame.is_multiple_of(FRAMES_PER_BAR) {
                traces.add(&self.state().apps, &progress);
            }
            if terminal.is_live() {
                terminal.draw(&self.picture(*terminal, &traces, &progress));
            } else {
                let changes = self.in_words(&progress);
                if changes.0 != told {
                    told = changes.0;
                    terminal.print(&[changes.1]);
                }
            }
            if over {
                break;
            }
            std::thread::sleep(FRAME);
        }
        if terminal.is_live() {
            terminal.keep();
        }
    }

    /// What has changed, and the line that says so.
    fn in_words(&self, progress: &Progress) -> (String, String) {
        let state = self.state();
        let apps: Vec<String> = state
            .apps
            .iter()
            .map(|(name, look)| match look {
                Look::Untouched => format!("{name} up"),
                Look::Restarting(_) => format!("{name} restarting"),
                Look::Renewed(took) => format!("{name} new after {}", time(*took)),
                Look::Broken(words) => format!("{name} failed: {words}"),
            })
            .collect();
        let apps = apps.join(", ");
        let line = format!(
            "  {:>7}  {apps}; requests {}, failed {}, in flight {}",
            time(self.begun.elapsed()),
            progress.requests,
            progress.failed,
            progress.in_flight
        );
        (apps, line)
    }

    fn picture(&self, terminal: Terminal, traces: &Traces, progress: &Progress) -> Vec<String> {
        let state = self.state();
        let mut lines = vec![
            String::new(),
            format!(
                "  {}  {}{:>width$}",
                terminal.paint(Style::Bold, self.title),
                terminal.paint(Style::Dim, self.steps),
                time(self.begun.elapsed()),
                width = 74_usize.saturating_sub(self.title.len() + self.steps.len()),
            ),
            String::new(),
        ];
        let highest = traces.apps.iter().flatten().copied().max().unwrap_or(1);
        for ((name, look), trace) in state.apps.iter().zip(&traces.apps) {
            let (style, words) = match look {
                Look::Untouched => (Style::Green, "● up".to_owned()),
                Look::Restarting(words) => (Style::Yellow, format!("◌ {words}")),
                Look::Renewed(took) => (Style::Green, format!("● new, took {}", time(*took))),
                Look::Broken(words) => (Style::Red, format!("✗ {words}")),
            };
            let values: Vec<u64> = trace.iter().copied().collect();
            lines.push(format!(
                "    {name}  {}  {}",
                terminal.paint(Style::Dim, &bars(&values, highest)),
                terminal.paint(style, &tame(&words, 38)),
            ));
        }
        let values: Vec<u64> = traces.failed.iter().copied().collect();
        let worst = values.iter().copied().max().unwrap_or(1);
        lines.push(format!("  failed  {}", terminal.paint(Style::Red, &bars(&values, worst))));
        let failed = number(progress.failed);
        let style = if progress.failed == 0 { Style::Green } else { Style::Red };
        lines.push(String::new());
        lines.push(format!(
            "    requests {}   failed {}   in flight {}",
            terminal.paint(Style::Bold, &number(progress.requests)),
            terminal.paint(style, &failed),
            progress.in_flight
        ));
        lines
    }
}

impl Traces {
    fn new(apps: usize) -> Self {
        let empty = || VecDeque::from(vec![0; BARS]);
        Self { apps: (0..apps).map(|_| empty()).collect(), failed: empty(), before: Progress::default() }
    }

    fn add(&mut self, apps: &[(String, Look)], now: &Progress) {
        let count = |progress: &Progress, name: &str| progress.by_app.get(name).copied();
        for ((name, _), trace) in apps.iter().zip(&mut self.apps) {
            let new = count(now, name).unwrap_or(0) - count(&self.before, name).unwrap_or(0);
            shift(trace, new);
        }
        shift(&mut self.failed, now.failed - self.before.failed);
        self.before = now.clone();
    }
}

fn shift(trace: &mut VecDeque<u64>, new: u64) {
    trace.pop_front();
    trace.push_back(new);
}
