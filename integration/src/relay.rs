//! A socket before that of HAProxy, through which pitstop speaks to it.

use std::io::{self, BufRead, BufReader, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crate::world::World;

/// Longer than a run takes to come to any of its lines.
const SOON: Duration = Duration::from_secs(30);

/// Stands where pitstop looks for HAProxy.
#[derive(Debug)]
pub struct Relay {
    path: PathBuf,
}

impl Relay {
    /// From now on pitstop's configuration names it in place of the world's first HAProxy. `at_line` hears each line before HAProxy
    /// does; what it returns is dropped once the answer has been handed back.
    pub fn before_haproxy<T>(world: &World, at_line: impl Fn(&str) -> T + Send + Sync + 'static) -> Self {
        let path = world.haproxy.folder().join("relay.sock");
        let behind = world.haproxy.socket();
        let listener = UnixListener::bind(&path).unwrap();
        world.pitstop.replace(behind.to_str().unwrap(), path.to_str().unwrap());
        let at_line = Arc::new(at_line);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let (behind, at_line) = (behind.clone(), Arc::clone(&at_line));
                // A failure is an end of HAProxy's or of pitstop's, of which the other hears by the end of its connection.
                thread::spawn(move || hand_on(client, &behind, &*at_line).ok());
            }
        });
        Self { path }
    }

    /// Does something right before HAProxy hears the first line of which this is so.
    pub fn at_first(
        world: &World,
        is_it: impl Fn(&str) -> bool + Send + Sync + 'static,
        act: impl FnOnce() + Send + 'static,
    ) -> Self {
        let to_do = Mutex::new(Some(act));
        Self::before_haproxy(world, move |line| {
            let act = is_it(line).then(|| to_do.lock().unwrap().take()).flatten();
            act.map(|act| act())
        })
    }

    /// Holds the first line of which this is so until [`Line::hand_on`].
    pub fn holding(world: &World, is_it: impl Fn(&str) -> bool + Send + Sync + 'static) -> Line {
        let (comes, came) = mpsc::channel();
        let (hand_on, handed_on) = mpsc::channel();
        Self::at_first(world, is_it, move || {
            comes.send(()).ok();
            handed_on.recv().ok();
        });
        Line { came, hand_on }
    }

    /// What pitstop's configuration names.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// One line that HAProxy has not heard yet.
#[derive(Debug)]
pub struct Line {
    came: Receiver<()>,
    hand_on: Sender<()>,
}

impl Line {
    /// Waits until pitstop has sent it.
    pub fn wait(&self) {
        self.came.recv_timeout(SOON).expect("pitstop sends the line");
    }

    /// Lets HAProxy hear it.
    pub fn hand_on(self) {
        self.hand_on.send(()).ok();
    }
}

/// Hands on one line and its answer, and the end of either side to the other.
fn hand_on<T>(client: UnixStream, behind: &Path, at_line: &impl Fn(&str) -> T) -> io::Result<()> {
    let mut client = BufReader::new(client);
    let mut line = String::new();
    client.read_line(&mut line)?;
    let mut client = client.into_inner();
    let _until_answered = at_line(&line);
    let mut haproxy = UnixStream::connect(behind)?;
    haproxy.write_all(line.as_bytes())?;
    let (mut from_client, to_haproxy) = (client.try_clone()?, haproxy.try_clone()?);
    thread::spawn(move || {
        io::copy(&mut from_client, &mut io::sink()).ok();
        to_haproxy.shutdown(Shutdown::Both).ok();
    });
    let answered = io::copy(&mut haproxy, &mut client);
    client.shutdown(Shutdown::Both).ok();
    answered.map(drop)
}
