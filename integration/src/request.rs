//! One request, or one held connection, whose fate is followed closely.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread::JoinHandle;
use std::time::Duration;

/// Longer than anything a test waits for.
const LIMIT: Duration = Duration::from_secs(60);

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The app that answered.
    pub app: String,
    /// Its process.
    pub pid: i32,
    /// Whether all of the body came.
    pub complete: bool,
}

/// A GET that is being answered.
#[derive(Debug)]
pub struct Pending(JoinHandle<Option<Answer>>);

impl Pending {
    /// Asks for `/work` that takes `time`, on a new connection, and does not wait. `cookie` is `NAME=VALUE`.
    pub fn work(address: SocketAddr, time: Duration, cookie: Option<&str>) -> Self {
        let mut stream = connect(address);
        stream.write_all(work(address, time, cookie, "close").as_bytes()).expect("send a request");
        Self(std::thread::spawn(move || {
            let mut text = Vec::new();
            stream.read_to_end(&mut text).ok();
            parse(&text)
        }))
    }

    /// Whether it was answered or cut already.
    pub fn has_ended(&self) -> bool {
        self.0.is_finished()
    }

    /// The answer; `None` when the connection was cut before it.
    pub fn answer(self) -> Option<Answer> {
        self.0.join().expect("reading an answer")
    }

    /// Panics unless it was answered well, to the last byte.
    pub fn assert_answered(self) -> Answer {
        let answer = self.answer().expect("the request was cut");
        assert!(answer.status == 200 && answer.complete, "{answer:?}");
        answer
    }
}

/// Asks one thing and waits.
pub fn ask(address: SocketAddr, cookie: Option<&str>) -> Answer {
    Pending::work(address, Duration::ZERO, cookie).assert_answered()
}

/// A connection that was asked something once, was answered, and is kept open.
#[derive(Debug)]
pub struct Held(TcpStream);

impl Held {
    /// Idle after one answer.
    pub fn idle(address: SocketAddr) -> Self {
        let mut held = Self(connect(address));
        held.send(&format!("GET /health HTTP/1.1\r\nHost: {address}\r\n\r\n"));
        assert!(held.receive().is_some_and(|answer| answer.contains(" 200 ")), "no answer");
        held
    }

    /// Upgraded to a conversation without end, as a websocket is; the app repeats what it hears.
    pub fn conversation(address: SocketAddr, cookie: &str) -> Self {
        let mut held = Self(connect(address));
        held.send(&format!(
            "GET /echo HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: echo\r\nCookie: {cookie}\r\n\r\n"
        ));
        assert!(held.receive().is_some_and(|answer| answer.contains(" 101 ")), "no upgrade");
        assert!(held.is_alive(), "no conversation");
        held
    }

    /// Asks for `/work` that takes `time`, and waits; `None` when the connection was cut before the end of the answer.
    pub fn work(&mut self, time: Duration, cookie: &str) -> Option<Answer> {
        let address = self.0.peer_addr().ok()?;
        self.send(&work(address, time, Some(cookie), "keep-alive"));
        let mut text = String::new();
        loop {
            text += &self.receive()?;
            if let Some(answer) = parse(text.as_bytes()).filter(|answer| answer.complete) {
                return Some(answer);
            }
        }
    }

    /// Whether a conversation still goes on.
    pub fn is_alive(&mut self) -> bool {
        self.0.write_all(b"ping").is_ok() && self.receive().as_deref() == Some("ping")
    }

    fn send(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).expect("send a request");
    }

    fn receive(&mut self) -> Option<String> {
        let mut bytes = [0; 4096];
        let length = self.0.read(&mut bytes).ok().filter(|length| *length > 0)?;
        Some(String::from_utf8_lossy(&bytes[..length]).into_owned())
    }
}

fn work(address: SocketAddr, time: Duration, cookie: Option<&str>, connection: &str) -> String {
    let cookie = cookie.map(|cookie| format!("Cookie: {cookie}\r\n")).unwrap_or_default();
    let what = format!("GET /work?ms={}&bytes=100 HTTP/1.1", time.as_millis());
    format!("{what}\r\nHost: {address}\r\nConnection: {connection}\r\n{cookie}\r\n")
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect_timeout(&address, LIMIT).expect("connect");
    stream.set_read_timeout(Some(LIMIT)).expect("limit a read");
    stream
}

fn parse(text: &[u8]) -> Option<Answer> {
    let text = String::from_utf8_lossy(text);
    let (head, body) = text.split_once("\r\n\r\n")?;
    let header = |name: &str| {
        head.lines().filter_map(|line| line.split_once(": ")).find(|(key, _)| key.eq_ignore_ascii_case(name))
    };
    let value = |name| header(name).map(|(_, value)| value).unwrap_or_default();
    Some(Answer {
        status: head.split(' ').nth(1)?.parse().ok()?,
        app: value("x-app").to_owned(),
        pid: value("x-pid").parse().unwrap_or(0),
        complete: value("content-length").parse() == Ok(body.len()),
    })
}
