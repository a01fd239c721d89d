//! The report: what `docs/performance.md` says, and the terminal shows.

use std::collections::BTreeMap;
use std::time::Duration;

use integration::terminal::number;
use serde_json::Value;

use crate::lint::Measured;
use crate::method::{Method, versions};
use crate::poll::{self, Question, SIZES};
use crate::roll::Roll;
use crate::stop::Cost;
use crate::table::{Table, median_and_max, middle, unit};

/// All that was measured.
pub(crate) struct Report<'a> {
    pub(crate) rounds: usize,
    /// What else the machine did, as a load average.
    pub(crate) load_before: String,
    pub(crate) rolls: &'a [Roll],
    /// By pitstop, in a large backend.
    pub(crate) large: &'a [Roll],
    pub(crate) polls: &'a [poll::Cost],
    /// Of one pit stop: servers' states, and rows of all servers.
    pub(crate) full_reads: [usize; 2],
    pub(crate) lint: &'a Measured,
}

impl Report<'_> {
    pub(crate) fn render(&self) -> String {
        format!(
            "# Performance

Written by `scripts/bench`; run it to measure on your machine.

Measured on {machine}, load average {load} before the run; {versions}. {rounds} of rolls by each method, in turns, in one
run.

## Pit stops

{stops}
Medians, the longest in brackets. The columns:

* **in flight at the stop**: requests that the app had read and not answered when it got its stop signal, in all stops.
* **until the stop**: from the call to the stop signal, less the time in which no new request came and the last ones were
  answered. It is what the method takes to end the traffic, and to notice that it has ended.
* **idle before the stop**: from the end of the last request to the stop signal, where none was in flight.
* **until served**: from the first healthy answer of the new process to the first request that comes through HAProxy. Some
  milliseconds of it are the load's, for a request must come first. 0 where one came before the first healthy answer was
  seen.
* **added**: *until the stop* and *until served* together: what is left of the time from the call until the new process
  serves, when the requests in flight and the app's own restart (stop signal to first healthy answer) are taken away.
* **against pitstop**: the median of *added*, divided by pitstop's.
* **one restart**: from the call to its return. Pitstop's has `hold` in it (2 s by default), in which the app serves already
  and pitstop watches whether it lasts and passes HAProxy's next check. The recipe's has the wait in it until HAProxy takes
  the server back.
* **three apps**: the calls for all three, added up.

The rows:

* **{plain}**: `kill -TERM`, wait for the end, start, wait until healthy. It adds no time, it loses requests.
* **{recipe}**: delete the redirect of the check port, sleep {sleep} s (fall × inter, and the longest request), the same
  restart, add the redirect, sleep {back} s (rise × inter, and 1 s).
* **{ansible}**: a playbook of three tasks: `community.general.haproxy` with `state=disabled drain=true wait=true`, the same
  restart, `state=enabled wait=true`; `wait_interval` (5 s) and `wait_retries` (25) are the defaults.
* **{pitstop}**: `pitstop restart`, admin socket only, no key changed from its default.
* **{large}**: the same where the backend has {more} further servers, all in maintenance.

The scene: one HAProxy (`inter 2s fall 3 rise 2`, round robin), three gunicorn apps (2 workers of 8 threads each), 22 clients
that send short requests, requests of up to 2 s and uploads through HAProxy without end. Nobody sticks, which is the best
case for the other methods. Clients, HAProxy and apps share the machine, in a network namespace. All times but those of the
call and its return are noted by the app itself: gunicorn's hooks write down when the master gets its stop signal, and when
each request begins and ends. All are on the monotonic clock of the one host. `/health` is asked every 2 ms once the old
master is gone. Pitstop's journal is on a disk.

### Where pitstop's time goes

{steps}
*Drain* is the requests in flight, and the time until their end is noticed; *restart* is the app's.

## Polls

While it drains, pitstop asks for its own servers only: `show info;show stat IID 4 SID`. Here one HAProxy with 3 servers in
one backend and one with {more} are asked in turns. Both have two threads, no checks and no traffic.

{polls}
Time is from the connect to the read answer; CPU is HAProxy's, user and system, by `/proc/PID/stat`. In the large backend
one pit stop sends {states} lines with a full read of servers' states and {rows} with all servers' rows.

## Reading haproxy.cfg

{lint}",
            lint = self.lint.render(),
            load = self.load_before,
            large = large_name(),
            more = number(SIZES[1].into()),
            states = self.full_reads[0],
            rows = self.full_reads[1],
            machine = machine(),
            versions = versions(),
            rounds = if self.rounds == 1 { "1 round".to_owned() } else { format!("{} rounds", self.rounds) },
            stops = self.stops(),
            plain = Method::Plain.name(),
            recipe = Method::Recipe.name(),
            ansible = Method::Ansible.name(),
            pitstop = Method::Pitstop.name(),
            sleep = crate::method::recipe_sleeps().0,
            back = crate::method::recipe_sleeps().1,
            steps = self.steps(),
            polls = self.poll_costs(),
        )
    }

    /// The rolls by each method, and those in the large backend.
    fn groups(&self) -> Vec<(String, Vec<&Roll>)> {
        let of = |method| self.rolls.iter().filter(move |roll| roll.method == method).collect::<Vec<_>>();
        let mut groups: Vec<_> = Method::ALL.into_iter().map(|method| (method.name().to_owned(), of(method))).collect();
        groups.push((large_name(), self.large.iter().collect()));
        groups.retain(|(_, rolls)| !rolls.is_empty());
        groups
    }

    fn stops(&self) -> String {
        let mut table = Table::new(&[
            "method",
            "stops",
            "requests",
            "failed",
            "in flight at the stop",
            "until the stop",
            "idle before the stop",
            "until served",
            "added",
            "against pitstop",
            "one restart",
            "three apps",
        ]);
        let groups = self.groups();
        let added = |rolls: &[&Roll]| each(rolls, |cost| Some(cost.added()));
        let ours = groups.iter().find(|(name, _)| name == Method::Pitstop.name());
        let ours = ours.and_then(|(_, rolls)| median_and_max(added(rolls)));
        for (name, rolls) in &groups {
            let ratio = ours.zip(median_and_max(added(rolls))).map_or_else(
                || "–".to_owned(),
                |((ours, _), (theirs, _))| format!("{:.1} ×", theirs.as_secs_f64() / ours.as_secs_f64()),
            );
            let failed: u64 = rolls.iter().map(|roll| roll.load.failed).sum();
            let costs = || rolls.iter().flat_map(|roll| &roll.costs);
            table.row(vec![
                name.clone(),
                costs().count().to_string(),
                number(rolls.iter().map(|roll| roll.load.requests).sum()),
                if failed == 0 { "0".to_owned() } else { format!("**{}**", number(failed)) },
                costs().map(|cost| cost.in_flight).sum::<usize>().to_string(),
                middle(each(rolls, |cost| Some(cost.until_stop))),
                middle(each(rolls, |cost| cost.idle)),
                middle(each(rolls, |cost| Some(cost.until_served))),
                middle(added(rolls)),
                ratio,
                middle(each(rolls, |cost| Some(cost.whole))),
                middle(rolls.iter().map(|roll| roll.whole()).collect()),
            ]);
        }
        table.render()
    }

    /// By pitstop's own events.
    fn steps(&self) -> String {
        let few = self.rolls.iter().filter(|roll| roll.method == Method::Pitstop);
        let (order, mut few) = step_times(few);
        let (_, mut large) = step_times(self.large.iter());
        let mut table = Table::new(&["step", "pitstop", &large_name()]);
        for step in order {
            let cells = [&mut few, &mut large].map(|times| middle(times.remove(&step).unwrap_or_default()));
            table.row(std::iter::once(step).chain(cells).collect());
        }
        table.render()
    }

    fn poll_costs(&self) -> String {
        let sizes = SIZES.map(|size| number(size.into()));
        let heads =
            sizes.iter().flat_map(|size| [format!("{size} servers: time"), format!("{size} servers: CPU for 1000")]);
        let heads: Vec<String> = std::iter::once("question".to_owned()).chain(heads).collect();
        let mut table = Table::new(&heads.iter().map(String::as_str).collect::<Vec<_>>());
        for question in Question::ALL {
            let costs = self.polls.iter().filter(|cost| cost.question == question);
            let cells = costs.flat_map(|cost| [middle(cost.times.clone()), unit(cost.cpu_per_thousand())]);
            table.row(std::iter::once(question.name().to_owned()).chain(cells).collect());
        }
        table.render()
    }
}

fn large_name() -> String {
    format!("{}, {} servers", Method::Pitstop.name(), number(u64::from(SIZES[1]) + 3))
}

fn each(rolls: &[&Roll], figure: impl Fn(&Cost) -> Option<Duration>) -> Vec<Duration> {
    rolls.iter().flat_map(|roll| &roll.costs).filter_map(figure).collect()
}

/// How long each step took, and in which order they came.
fn step_times<'r>(rolls: impl Iterator<Item = &'r Roll>) -> (Vec<String>, BTreeMap<String, Vec<Duration>>) {
    let mut order = Vec::new();
    let mut steps: BTreeMap<String, Vec<Duration>> = BTreeMap::new();
    for line in rolls.flat_map(|roll| &roll.outputs).flat_map(|output| output.lines()) {
        let Ok(event) = serde_json::from_str::<Value>(line) else { continue };
        let (Some("step_ended"), Some(step), Some(micros)) =
            (event["event"].as_str(), event["step"].as_str(), event["micros"].as_u64())
        else {
            continue;
        };
        let times = steps.entry(step.replace('_', " ")).or_insert_with_key(|step| {
            order.push(step.clone());
            Vec::new()
        });
        times.push(Duration::from_micros(micros));
    }
    (order, steps)
}

/// Processor and cores, and how busy they were with other things.
fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let information = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = information.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("an unnamed processor", |(_, name)| name.trim());
    format!("{cores} cores of {model}")
}
