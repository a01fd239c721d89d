//! System calls as they are seen from outside: a name, and what it is about in words that are the same in every run.

use std::collections::HashMap;
use std::io::IoSliceMut;
use std::path::Path;

use nix::libc::{self, c_long};
use nix::sys::ptrace;
use nix::sys::signal::Signal;
use nix::sys::uio::{RemoteIoVec, process_vm_readv};
use nix::unistd::Pid;

use super::known::{About, known};

/// So much of what is written is looked at.
const GLANCE: usize = 2048;
/// So much of it is in a call's subject.
const SHOWN: usize = 140;
/// So many arguments of a program are.
const ARGUMENTS: usize = 32;

/// A call that is about to be made, on a file, a socket, or a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// As in section 2 of the manual.
    pub name: &'static str,
    /// The path, the peer or the words it is about; without figures, which differ from run to run.
    pub subject: String,
    /// The step that begins with this call: the one that pitstop writes into its claim.
    pub begins: Option<String>,
    /// Whether it makes, changes, sends or removes something, be it in a file.
    pub acts: bool,
}

/// The calling convention's part of the registers: number and first arguments.
#[cfg(target_arch = "x86_64")]
fn arguments(task: Pid) -> Option<(c_long, [u64; 3])> {
    let registers = ptrace::getregs(task).ok()?;
    Some((c_long::try_from(registers.orig_rax).ok()?, [registers.rdi, registers.rsi, registers.rdx]))
}

#[cfg(target_arch = "aarch64")]
fn arguments(task: Pid) -> Option<(c_long, [u64; 3])> {
    let registers = ptrace::getregs(task).ok()?.regs;
    Some((c_long::try_from(registers[8]).ok()?, [registers[0], registers[1], registers[2]]))
}

/// Reads the calls of one process.
#[derive(Debug)]
pub(super) struct Reader {
    process: Pid,
    names: Names,
    /// What each descriptor was last told: an answer is known by its question.
    said: HashMap<u64, String>,
}

impl Reader {
    pub(super) fn new(process: Pid, names: Names) -> Self {
        Self { process, names, said: HashMap::new() }
    }

    pub(super) fn process(&self) -> Pid {
        self.process
    }

    /// The call that a stopped thread of the process is about to make; `None` where it has just made one, or makes one that
    /// touches nothing outside the process.
    pub(super) fn read(&mut self, task: Pid) -> Option<Call> {
        if ptrace::syscall_info(task).ok()?.op != libc::PTRACE_SYSCALL_INFO_ENTRY {
            return None;
        }
        let (number, arguments) = arguments(task)?;
        let (name, about, acts) = known(number)?;
        let mut call = Call { name, subject: String::new(), begins: None, acts };
        match about {
            About::Path(place) => call.subject = self.path(arguments[place]),
            About::Program => call.subject = self.program(arguments),
            About::Signal => {
                let signal = i32::try_from(arguments[1]).ok().and_then(|number| Signal::try_from(number).ok());
                call.subject = signal.map_or("nothing", Signal::as_str).to_owned();
            }
            About::Nothing => {}
            _ => self.read_descriptor(&mut call, about, arguments)?,
        }
        call.subject = call.subject.trim().chars().take(SHOWN).collect();
        Some(call)
    }

    fn read_descriptor(
        &mut self,
        call: &mut Call,
        about: About,
        [descriptor, address, length]: [u64; 3],
    ) -> Option<()> {
        let link = std::fs::read_link(format!("/proc/{}/fd/{descriptor}", self.process));
        let link = link.map(|link| link.to_string_lossy().into_owned()).unwrap_or_default();
        // Events and timers of the runtime: its own affair.
        if link.starts_with("anon_inode:") {
            return None;
        }
        let is_file = link.starts_with('/');
        call.acts &= is_file;
        let length = usize::try_from(length).unwrap_or(usize::MAX).min(GLANCE);
        let data = match about {
            About::Data => self.memory(address, length),
            About::Pieces => self.first_piece(address),
            About::Address => {
                let peer = self.names.plain(&peer(&self.memory(address, length)));
                self.said.insert(descriptor, peer.clone());
                call.subject = peer;
                return Some(());
            }
            _ => {
                let said = self.said.get(&descriptor).filter(|_| !is_file).map_or("", String::as_str);
                call.subject = format!("{} {said}", self.names.plain(&link));
                if call.name == "close" {
                    self.said.remove(&descriptor);
                }
                return Some(());
            }
        };
        let data = text(&data);
        if link.ends_with("/claim") {
            call.begins = Some(step(&data).unwrap_or("claim").to_owned());
        }
        // What a journal's line begins with differs from run to run.
        let words = self.names.plain(data.split_once("\"record\":").map_or(&data, |(_, record)| record));
        if !is_file {
            let said = self.said.entry(descriptor).or_default();
            *said = match said.split_once(':') {
                Some((peer, _)) => format!("{peer}: {words}"),
                None => format!("{said}: {words}"),
            };
            call.subject = format!("{} {said}", self.names.plain(&link));
        } else {
            call.subject = format!("{} {words}", self.names.plain(&link));
        }
        Some(())
    }

    fn path(&self, address: u64) -> String {
        let bytes = self.memory(address, 256);
        self.names.plain(&until_nul(&bytes))
    }

    /// The path, then after `: ` the arguments, which end with a null pointer, without the program's own name. An option of one
    /// letter keeps its dash: it says what is asked for.
    fn program(&self, [path, arguments, _]: [u64; 3]) -> String {
        let pointers = self.memory(arguments, ARGUMENTS * 8);
        let pointers = pointers.chunks_exact(8).filter_map(|bytes| bytes.try_into().ok()).map(u64::from_ne_bytes);
        let words = pointers.take_while(|pointer| *pointer != 0).skip(1).map(|pointer| {
            let argument = until_nul(&self.memory(pointer, 256));
            let is_option = argument.len() == 2 && argument.starts_with('-');
            if is_option { argument } else { self.names.plain(&argument) }
        });
        format!("{}: {}", self.path(path), words.collect::<Vec<_>>().join(" "))
    }

    /// struct iovec: address and length.
    fn first_piece(&self, address: u64) -> Vec<u8> {
        let vector = self.memory(address, 16);
        let Some((base, length)) = vector.first_chunk::<8>().zip(vector.last_chunk::<8>()) else { return vector };
        let length = usize::try_from(u64::from_ne_bytes(*length)).unwrap_or(usize::MAX);
        self.memory(u64::from_ne_bytes(*base), length.min(GLANCE))
    }

    fn memory(&self, address: u64, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        let remote = RemoteIoVec { base: usize::try_from(address).unwrap_or(0), len: length };
        let read = process_vm_readv(self.process, &mut [IoSliceMut::new(&mut bytes)], &[remote]).unwrap_or(0);
        bytes.truncate(read);
        bytes
    }
}

fn peer(address: &[u8]) -> String {
    let [low, high, rest @ ..] = address else { return String::new() };
    match i32::from(u16::from_ne_bytes([*low, *high])) {
        libc::AF_UNIX => until_nul(rest),
        libc::AF_INET | libc::AF_INET6 => "inet".to_owned(),
        libc::AF_NETLINK => "netlink".to_owned(),
        _ => "another family".to_owned(),
    }
}

fn until_nul(bytes: &[u8]) -> String {
    let text = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(text).into_owned()
}

/// What is text, or the words in what is binary.
fn text(data: &[u8]) -> String {
    match std::str::from_utf8(data) {
        Ok(text) if !data.contains(&0) => text.to_owned(),
        _ => {
            let data = timeless(data);
            let words = data.split(|byte| !byte.is_ascii_alphabetic()).filter(|word| word.len() >= 3);
            words.map(|word| String::from_utf8_lossy(word)).collect::<Vec<_>>().join(" ")
        }
    }
}

/// Netlink messages without what differs from run to run: sequence numbers, which are times, and process ids. netlink(7): a message
/// begins with its length, its type and flags, these two, and the next one follows at a multiple of four bytes.
fn timeless(data: &[u8]) -> Vec<u8> {
    let mut data = data.to_vec();
    let mut rest = data.as_mut_slice();
    while let Some((header, _)) = rest.split_first_chunk_mut::<16>() {
        let length = u32::from_ne_bytes([header[0], header[1], header[2], header[3]]);
        header[8..].fill(0);
        let length = usize::try_from(length).unwrap_or(usize::MAX).max(16);
        let next = length.checked_next_multiple_of(4).unwrap_or(usize::MAX).min(rest.len());
        rest = &mut rest[next..];
    }
    data
}

/// The step that a claim's record names.
fn step(claim: &str) -> Option<&str> {
    let (_, rest) = claim.split_once("\"step\":\"")?;
    rest.split_once('"').map(|(step, _)| step)
}

/// What is called by a name of its own, since its path differs from world to world.
#[derive(Debug, Clone, Default)]
pub struct Names(Vec<(String, &'static str)>);

impl Names {
    /// From now on the path is shown as `name`, which has no figures.
    pub fn call(&mut self, path: &Path, name: &'static str) {
        self.0.push((path.display().to_string(), name));
    }

    /// The words of a text, without those that have figures in them or may be hexadecimal figures.
    fn plain(&self, text: &str) -> String {
        let text = self.0.iter().fold(text.to_owned(), |text, (path, name)| text.replace(path, name));
        let separator = |c: char| !(c.is_ascii_alphanumeric() || c == '_');
        let has_figures = |word: &str| word.bytes().any(|byte| byte.is_ascii_digit());
        let may_be_figures = |word: &str| word.bytes().all(|byte| byte.is_ascii_hexdigit());
        let words = text.split(separator).filter(|word| !may_be_figures(word) && !has_figures(word));
        words.collect::<Vec<_>>().join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::text;

    #[test]
    fn a_netlink_message_reads_the_same_at_any_time_and_from_any_process() {
        let message = |sequence: u32, port: u32| {
            let header =
                [28_u32.to_ne_bytes(), 0x0005_0a01_u32.to_ne_bytes(), sequence.to_ne_bytes(), port.to_ne_bytes()];
            [&header.concat()[..], b"\x02\0\0\0\x08\0\x01\0nat\0"].concat()
        };
        let batch = |sequence, port| [message(sequence, port), message(sequence + 1, port)].concat();
        // Bytes that are UTF-8 by chance, bytes that are not, and letters at their ends.
        for (sequence, port) in [(0x6920_4d41, 0x0041), (0x69ff_fe80, 0x3f_4142), (0x6a61_0062, 0x00c3_2800)] {
            assert_eq!(text(&batch(sequence, port)), "nat nat");
        }
        assert_eq!(text(b"show info;show stat\n"), "show info;show stat\n");
    }
}
