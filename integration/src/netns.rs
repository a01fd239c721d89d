//! A network namespace for a test's thread, and further hosts joined to it by veth pairs.
//!
//! All programs started from the thread live in its namespace, so ports, firewall and addresses are the test's own. A
//! guardian process ends everything in a namespace when its owner lets go of it or dies, even by `kill -9`.

use std::fs::File;
use std::marker::PhantomData;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use nix::sched::{CloneFlags, setns, unshare};

use crate::wait;

/// Ends all processes of its own network namespace once standard input ends, except itself and the owner ($2), and
/// then removes the namespace's name ($3). It refuses to work in any other namespace than the one it was made for ($1).
const GUARDIAN: &str = r#"
cat >/dev/null
[ "$(readlink /proc/self/ns/net)" = "net:[$1]" ] || exit 1
for round in 1 2 3 4 5 6 7 8 9 10; do
    found=
    for entry in $(find /proc/[0-9]*/ns/net -maxdepth 0 -lname "net:\[$1\]" 2>/dev/null); do
        pid=${entry#/proc/}
        pid=${pid%/ns/net}
        [ "$pid" = $$ ] || [ "$pid" = "$2" ] || { kill -KILL "$pid" 2>/dev/null && found=yes; }
    done
    [ "$found" ] || break
done
[ -z "$3" ] || ip netns delete "$3"
"#;

#[derive(Debug)]
struct Guardian(Child);

impl Guardian {
    /// Watches over the namespace of the calling thread.
    fn start(name: &str) -> Self {
        let child = Command::new("sh")
            .args(["-c", GUARDIAN, "guardian"])
            .args([this_namespace().to_string(), std::process::id().to_string(), name.to_owned()])
            .stdin(Stdio::piped())
            // Signals to the owner's group, such as Ctrl-C, are not for the guardian.
            .process_group(0)
            .spawn()
            .expect("start a guardian");
        Self(child)
    }
}

impl Drop for Guardian {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        if wait::exit_within(&mut self.0, Duration::from_secs(10)).is_none() {
            self.0.kill().ok();
        }
        self.0.wait().ok();
    }
}

/// The inode of the calling thread's network namespace.
fn this_namespace() -> u64 {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/thread-self/ns/net").expect("read the network namespace of this thread").ino()
}

/// The calling thread's new network namespace, with loopback up and nothing else; the thread goes back on drop.
#[derive(Debug)]
pub struct Namespace {
    before: File,
    // Ended before the thread leaves.
    guardian: Option<Guardian>,
    stays_in_its_thread: PhantomData<*const ()>,
}

impl Namespace {
    /// Moves the calling thread into a new network namespace. Threads and programs started from now on follow; those
    /// started before (a runtime's workers) do not, so build runtimes afterwards.
    ///
    /// Panics without `CAP_SYS_ADMIN`.
    #[expect(clippy::new_without_default, reason = "entering a namespace is no default")]
    pub fn new() -> Self {
        let before = File::open("/proc/thread-self/ns/net").expect("open the network namespace");
        let old = this_namespace();
        unshare(CloneFlags::CLONE_NEWNET).expect("a new network namespace: run as root, as scripts/test does");
        assert_ne!(old, this_namespace(), "the namespace is a new one");
        run(&["ip", "link", "set", "lo", "up"]);
        Self { before, guardian: Some(Guardian::start("")), stays_in_its_thread: PhantomData }
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        drop(self.guardian.take());
        setns(&self.before, CloneFlags::CLONE_NEWNET).ok();
    }
}

/// Another host: a named network namespace, joined to the thread's own by a veth pair with IPv4 and IPv6 addresses.
#[derive(Debug)]
pub struct Host {
    name: String,
    number: u16,
    guardian: Option<Guardian>,
}

impl Host {
    /// A further host, joined by a wire of its own to the calling thread's namespace, which must be a private one.
    #[expect(clippy::new_without_default, reason = "a new host is no default")]
    pub fn new() -> Self {
        static NEXT: AtomicU16 = AtomicU16::new(1);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("pt-{}-{number}", std::process::id());
        let mut host = Self { name, number, guardian: None };
        host.join();
        host
    }

    /// The host as a power cut leaves it: everything on it has ended, and its new namespace has the old addresses and nothing else.
    pub fn renew(&mut self) {
        run(&["ip", "link", "delete", &self.wire()]);
        drop(self.guardian.take());
        self.join();
    }

    fn join(&mut self) {
        run(&["ip", "netns", "add", &self.name]);
        self.guardian = Some(self.run(|| Guardian::start(&self.name)));
        let wire = self.wire();
        run(&["ip", "link", "add", &wire, "type", "veth", "peer", "name", "eth0", "netns", &self.name]);
        self.bring_up(&wire, self.near(), self.near6());
        self.run(|| {
            run(&["ip", "link", "set", "lo", "up"]);
            self.bring_up("eth0", self.far(), self.far6());
        });
    }

    fn bring_up(&self, interface: &str, address: IpAddr, address6: IpAddr) {
        run(&["ip", "address", "add", &format!("{address}/24"), "dev", interface]);
        // Without duplicate detection the address can be bound at once.
        run(&["ip", "address", "add", &format!("{address6}/64"), "dev", interface, "nodad"]);
        run(&["ip", "link", "set", interface, "up"]);
    }

    /// The interface on the thread's side of the wire.
    pub fn wire(&self) -> String {
        format!("pt{}", self.number)
    }

    /// The namespace's name, as `ip netns` knows it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The thread's own address on the wire.
    pub fn near(&self) -> IpAddr {
        self.v4(1)
    }

    /// The host's address on the wire.
    pub fn far(&self) -> IpAddr {
        self.v4(2)
    }

    /// The thread's own IPv6 address on the wire.
    pub fn near6(&self) -> IpAddr {
        self.v6(1)
    }

    /// The host's IPv6 address on the wire.
    pub fn far6(&self) -> IpAddr {
        self.v6(2)
    }

    fn v4(&self, last: u8) -> IpAddr {
        let [high, low] = self.number.to_be_bytes();
        Ipv4Addr::new(10, 77_u8.wrapping_add(high), low, last).into()
    }

    fn v6(&self, last: u16) -> IpAddr {
        Ipv6Addr::new(0xfd77, self.number, 0, 0, 0, 0, 0, last).into()
    }

    /// Pulls the wire, or plugs it in again.
    pub fn connect(&self, up: bool) {
        let state = if up { "up" } else { "down" };
        run(&["ip", "link", "set", &self.wire(), state]);
    }

    /// Runs `act` on that host: sockets it opens and programs it starts are there.
    pub fn run<T: Send>(&self, act: impl FnOnce() -> T + Send) -> T {
        let namespace = File::open(format!("/run/netns/{}", self.name)).expect("open a named namespace");
        std::thread::scope(|scope| {
            let inside = scope.spawn(|| {
                setns(&namespace, CloneFlags::CLONE_NEWNET).expect("enter a named namespace");
                act()
            });
            inside.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }
}

/// Runs a command to its end in the calling thread's namespace; panics, with what it said, unless it succeeds.
pub fn run(arguments: &[&str]) -> String {
    let output = Command::new(arguments[0])
        .args(&arguments[1..])
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{arguments:?}: {error}"));
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}
