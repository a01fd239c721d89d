//! What asking costs HAProxy, with 3 and with 10,000 servers in one backend.

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Stdio;
use std::time::{Duration, Instant};

use integration::haproxy::{Backend, Config, Haproxy, Mode, Server, Version};
use integration::pitstop::Run;
use nix::unistd::{SysconfVar, sysconf};
use pitstop::haproxy::{Address, Client, Error, Kinds, Name, StatScope};

use crate::method;
use crate::scene::Scene;

pub(crate) const SIZES: [u32; 2] = [3, 10_000];

const BACKEND: &str = "srvs";
/// The sizes take turns, so that both see the machine at its best and at its worst.
const TURNS: u32 = 10;
const ASKED_PER_TURN: u32 = 500;
const LARGE_READS_PER_TURN: u32 = 5;

/// A question to HAProxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Question {
    /// `show info` alone, which begins every line of pitstop's.
    Info,
    /// What a tick of a drain asks about the backend's first server.
    First,
    /// The same about its last one.
    Last,
    /// `show servers state BACKEND`
    States,
    /// `show stat IID 4 -1`
    Rows,
}

impl Question {
    pub(crate) const ALL: [Self; 5] = [Self::Info, Self::First, Self::Last, Self::States, Self::Rows];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Info => "`show info` alone",
            Self::First => "poll of the first server",
            Self::Last => "poll of the last server",
            Self::States => "full read: `show servers state srvs`",
            Self::Rows => "full read: `show stat IID 4 -1`",
        }
    }

    /// Enough that HAProxy's CPU time, which is told in ticks of 10 ms, means something.
    fn per_turn(self, servers: u32) -> u32 {
        match self {
            Self::States | Self::Rows if servers > SIZES[0] => LARGE_READS_PER_TURN,
            _ => ASKED_PER_TURN,
        }
    }
}

/// What one question cost, at one size.
#[derive(Debug, Clone)]
pub(crate) struct Cost {
    pub(crate) question: Question,
    pub(crate) servers: u32,
    /// From the connect to the read answer, for each.
    pub(crate) times: Vec<Duration>,
    /// HAProxy's CPU time, user and system, for all of them.
    pub(crate) cpu: Duration,
}

impl Cost {
    /// HAProxy's CPU time for 1000 of them.
    pub(crate) fn cpu_per_thousand(&self) -> Duration {
        let asked = u32::try_from(self.times.len()).expect("not that many");
        self.cpu * 1000 / asked.max(1)
    }
}

/// A HAProxy that does nothing but answer.
struct Place {
    servers: u32,
    haproxy: Haproxy,
    client: Client,
    backend: Name,
    iid: u32,
    first: u32,
    last: u32,
}

impl Place {
    async fn start(number: u16, servers: u32) -> Self {
        let frontend = SocketAddr::from((Ipv4Addr::LOCALHOST, 8100 + number));
        let backend = (0..servers).fold(Backend::new(BACKEND), |backend, server| {
            let address = Ipv4Addr::from_bits(Ipv4Addr::new(127, 1, 0, 1).to_bits() + server);
            backend.server(Server::new(&format!("web{server}"), (address, 80).into()))
        });
        let config = Config::new(Mode::Http).global("nbthread 2").frontend("www", frontend, BACKEND).backend(backend);
        let haproxy = Haproxy::start(Version::System, config);
        let client = Client::new(Address::Unix(haproxy.socket()));
        let backend: Name = BACKEND.parse().expect("a name");
        let (_, states) = client.servers_state(Some(&backend)).await.expect("read the servers' ids");
        let ids = || states.iter().map(|state| state.server_id);
        let (first, last) = (ids().min().expect("servers"), ids().max().expect("servers"));
        let iid = states[0].backend_id;
        Self { servers, haproxy, client, backend, iid, first, last }
    }

    async fn ask(&self, question: Question) -> Result<(), Error> {
        match question {
            Question::Info => self.client.info().await.map(drop),
            Question::First => self.client.poll(&[(self.iid, self.first)]).await.map(drop),
            Question::Last => self.client.poll(&[(self.iid, self.last)]).await.map(drop),
            Question::States => self.client.servers_state(Some(&self.backend)).await.map(drop),
            Question::Rows => self.client.stats(StatScope::Proxy(self.iid), Kinds::SERVERS).await.map(drop),
        }
    }

    /// One turn, added to `cost`.
    async fn turn(&self, cost: &mut Cost) {
        let pid = self.haproxy.pid().expect("HAProxy answers");
        let before = cpu_time(pid);
        for _ in 0..cost.question.per_turn(self.servers) {
            let begun = Instant::now();
            self.ask(cost.question).await.expect("HAProxy answers");
            cost.times.push(begun.elapsed());
        }
        cost.cpu += cpu_time(pid).saturating_sub(before);
    }
}

/// Asks every question at both sizes, in turns.
pub(crate) fn measure() -> Vec<Cost> {
    block_on(async {
        let mut places = Vec::new();
        for (number, servers) in (0..).zip(SIZES) {
            places.push(Place::start(number, servers).await);
        }
        let new = |question, servers| Cost { question, servers, times: Vec::new(), cpu: Duration::ZERO };
        let mut costs: Vec<Cost> = Question::ALL
            .into_iter()
            .flat_map(|question| places.iter().map(move |place| new(question, place.servers)))
            .collect();
        for _ in 0..TURNS {
            for cost in &mut costs {
                let place = places.iter().find(|place| place.servers == cost.servers).expect("one of each size");
                place.turn(cost).await;
            }
        }
        costs
    })
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(work)
}

/// User and system time of a process so far, all its threads: proc(5), fields 14 and 15 of `stat`.
fn cpu_time(pid: i32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("HAProxy runs");
    // The command name may hold anything, so fields are counted from what follows the last bracket.
    let (_, rest) = stat.rsplit_once(") ").expect("as in proc(5)");
    let ticks: u64 = rest.split(' ').skip(11).take(2).map(|field| field.parse::<u64>().expect("a number")).sum();
    let per_second = sysconf(SysconfVar::CLK_TCK).ok().flatten().expect("the kernel's tick");
    let per_second = u64::try_from(per_second).expect("ticks per second");
    Duration::from_micros(ticks * 1_000_000 / per_second)
}

/// How often one pit stop reads a whole backend or more: `show servers state`, and `show stat` of all servers. By
/// pitstop's own log, which names every line that it sends.
pub(crate) fn full_reads(scene: &Scene) -> [usize; 2] {
    let mut command = method::pitstop(scene, &scene.apps[0]);
    command.arg("--verbose").stdin(Stdio::null());
    let outcome = Run::start(command).wait();
    outcome.assert_code(0);
    ["show servers state", " 4 -1"].map(|words| outcome.stderr.lines().filter(|line| line.contains(words)).count())
}
