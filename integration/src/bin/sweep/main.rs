//! The sweep: pitstop is killed at every call of whole runs, in several scenes side by side, and recovered each time. Every app
//! must end in and healthy, or out, recorded and said aloud, and no request may fail.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a sweep that cannot set its scene fails by panicking"
)]

mod inside;
mod table;
mod worker;

use std::collections::VecDeque;
use std::process::ExitCode;
use std::sync::{Mutex, mpsc};

use clap::Parser;
use inside::{Order, Report};
use integration::sandbox;
use integration::sweep::scenario::Sweep;
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use table::Table;
use worker::Worker;

/// Kills pitstop at every call on a file, a socket or a process, and recovers it. Exits 0 when every end was a good one.
#[derive(Debug, Clone, Parser)]
struct Arguments {
    /// What to sweep.
    #[arg(long, value_delimiter = ',', default_values_t = Sweep::all(), value_parser = known)]
    sweeps: Vec<Sweep>,
    /// Only this step or point, as the table names it, such as `drain`, `take_out:67` or `out/release:3`.
    #[arg(long)]
    only: Option<String>,
    /// At most so many points of each, spread from the first to the last.
    #[arg(long, default_value_t = usize::MAX)]
    sample: usize,
    /// Each point so often, for what happens now and then.
    #[arg(long, default_value_t = 1)]
    times: usize,
    /// Scenes side by side.
    #[arg(long, default_value_t = 8)]
    lanes: usize,
    /// Only name the points.
    #[arg(long)]
    list: bool,
    /// One of them.
    #[arg(long, hide = true)]
    inside: bool,
}

fn known(name: &str) -> Result<Sweep, String> {
    Sweep::named(name).ok_or_else(|| {
        let names: Vec<_> = Sweep::all().into_iter().map(Sweep::name).collect();
        format!("there are {}", names.join(", "))
    })
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if arguments.inside {
        if sandbox::is_outside() {
            set_pdeathsig(Signal::SIGTERM).expect("end with the sweep");
        }
        return sandbox::run(inside::work);
    }
    let (sweeps, only) = match arguments.only.as_deref().map(|only| only.split_once('/').unwrap_or(("restart", only))) {
        Some((name, point)) => (vec![Sweep::named(name).expect("a sweep before the slash")], Some(point.to_owned())),
        None => (arguments.sweeps.clone(), None),
    };
    let mut table = Table::new(&sweeps);
    let recordings: Vec<Order> = sweeps.iter().map(|sweep| Order::Record(*sweep)).collect();
    let mut workers: Vec<Worker> = (0..arguments.lanes.max(1)).map(|_| Worker::start()).collect();
    let mut orders = VecDeque::new();
    carry_out(&mut workers, recordings.into(), |report| {
        if let Report::Recorded { sweep, calls, points } = &report {
            let chosen = points.iter().filter(|point| match &only {
                Some(only) => point.step == *only || format!("{}:{}", point.step, point.number) == *only,
                None => true,
            });
            let chosen = spread(chosen.collect(), arguments.sample);
            if arguments.list {
                table.list(*sweep, chosen);
                return;
            }
            let chosen: Vec<_> = chosen.flat_map(|point| vec![point.clone(); arguments.times]).collect();
            table.planned(*sweep, *calls, points.len(), &chosen);
            orders.extend(chosen.into_iter().map(|point| Order::Strike(*sweep, point)));
        } else {
            table.add(report);
        }
    });
    if arguments.list {
        return ExitCode::SUCCESS;
    }
    // One kind of run after the other, so that scenes are set anew as rarely as can be.
    orders.make_contiguous().sort_by_key(|order| sweeps.iter().position(|sweep| *sweep == order.sweep()));
    table.begin();
    carry_out(&mut workers, orders, |report| table.add(report));
    for worker in workers {
        worker.finish(|report| table.add(report));
    }
    table.finish();
    if table.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// At most so many, from the first to the last.
fn spread<T: Copy>(all: Vec<T>, count: usize) -> impl Iterator<Item = T> {
    let count = count.min(all.len());
    (0..count).map(move |number| all[number * (all.len() - 1) / (count - 1).max(1)])
}

/// All workers take orders until none are left; reports come one at a time.
fn carry_out(workers: &mut [Worker], orders: VecDeque<Order>, mut heard: impl FnMut(Report)) {
    let orders = Mutex::new(orders);
    let (sender, reports) = mpsc::channel();
    std::thread::scope(|scope| {
        for worker in workers {
            let (orders, sender) = (&orders, sender.clone());
            scope.spawn(move || {
                loop {
                    let order = orders.lock().expect("nobody panics inside").pop_front();
                    let Some(order) = order else { return };
                    worker.carry_out(&order, |report| {
                        sender.send(report).ok();
                    });
                }
            });
        }
        drop(sender);
        reports.into_iter().for_each(&mut heard);
    });
}
