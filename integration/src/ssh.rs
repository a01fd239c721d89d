//! Logins over the network, with a key of their own, and a server for them.

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::{binaries, netns, wait};

const START: Duration = Duration::from_secs(20);

/// Gives the server ($2...) the empty `/run/sshd` that it wants ($1 is the program), where nobody else sees it.
const SERVER: &str = "mount -t tmpfs tmpfs /run && mkdir /run/sshd && exec \"$@\"";

/// A key, and what opens a login with it.
#[derive(Debug)]
pub struct Key {
    folder: TempDir,
}

impl Key {
    /// A new one.
    #[expect(clippy::new_without_default, reason = "a new key is no default")]
    pub fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("pitstop-ssh-").tempdir().expect("create a folder for a key");
        let key = Self { folder };
        generate(&key.private());
        key
    }

    fn private(&self) -> String {
        binaries::text(&self.folder.path().join("key"))
    }

    /// The line of `authorized_keys`.
    pub fn public(&self) -> String {
        std::fs::read_to_string(self.private() + ".pub").expect("read a public key")
    }

    /// A command line of the other host's shell, as root there. With a terminal, its end is a hangup; without, only closed pipes tell.
    pub fn command(&self, server: SocketAddr, terminal: bool, line: &str) -> Command {
        let mut command = Command::new(binaries::tool("ssh", "test"));
        command
            .args(["-F", "none", "-i", &self.private(), "-p", &server.port().to_string()])
            .args(
                ["BatchMode=yes", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null"]
                    .map(|option| format!("-o{option}")),
            )
            .arg(if terminal { "-tt" } else { "-T" })
            .args([&format!("root@{}", server.ip()), line])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }
}

/// An OpenSSH server in the calling thread's namespace; ended on drop.
#[derive(Debug)]
pub struct Server {
    child: Child,
    address: SocketAddr,
    folder: TempDir,
}

impl Server {
    /// Lets root in with this key, and gives up on a client of which nothing is heard for three seconds.
    pub fn start(address: SocketAddr, key: &Key) -> Self {
        let folder = tempfile::Builder::new().prefix("pitstop-sshd-").tempdir().expect("create a folder for sshd");
        let path = |name: &str| binaries::text(&folder.path().join(name));
        generate(&path("host_key"));
        std::fs::write(path("authorized_keys"), key.public()).expect("write authorized_keys");
        let config = format!(
            "ListenAddress {address}\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\nPermitRootLogin yes\nUsePAM no\n\
             StrictModes no\nClientAliveInterval 1\nClientAliveCountMax 3\n",
            path("host_key"),
            path("authorized_keys"),
        );
        std::fs::write(path("config"), config).expect("write sshd's configuration");
        let child = Command::new("unshare")
            .args(["--mount", "--propagation=private", "sh", "-c", SERVER, "sshd"])
            .arg(binaries::tool("sshd", "test"))
            .args(["-D", "-f", &path("config"), "-E", &path("log")])
            .stdin(Stdio::null())
            .spawn()
            .expect("start sshd");
        let mut server = Self { child, address, folder };
        let log = server.folder.path().join("log");
        wait::until("sshd listens", START, || {
            let log = std::fs::read_to_string(&log).unwrap_or_default();
            assert!(server.child.try_wait().expect("wait for sshd").is_none(), "sshd ended: {log}");
            log.contains("Server listening").then_some(())
        });
        server
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether it has no connection, and has ended the logins of those it had.
    pub fn is_alone(&self) -> bool {
        wait::children(i32::try_from(self.child.id()).expect("process ids fit")).is_empty()
    }

    /// Lets nothing pass between it and its clients, who are not told. Whoever still has something to say gives up after seconds, not
    /// minutes: tcp(7), `tcp_retries2`; sshd does not count its clients' silence while there is output for them.
    pub fn cut_off(&self) {
        netns::run(&["sysctl", "-q", "-w", "net.ipv4.tcp_retries2=3"]);
        for end in ["--dport", "--sport"] {
            let port = self.address.port().to_string();
            netns::run(&["iptables", "-w", "5", "-I", "INPUT", "-p", "tcp", end, &port, "-j", "DROP"]);
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn generate(private: &str) {
    let keygen = binaries::text(&binaries::tool("ssh-keygen", "test"));
    netns::run(&[&keygen, "-q", "-t", "ed25519", "-N", "", "-f", private]);
}
