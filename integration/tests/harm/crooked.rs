//! Apps and agents that misbehave in ways that the test app can't. They live as long as the test.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

/// Calls this with every connection, each in a thread of its own, in the namespace of the calling thread.
fn serve(listen: SocketAddr, each: impl Fn(TcpStream) + Clone + Send + 'static) {
    let listener = TcpListener::bind(listen).expect("listen");
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let each = each.clone();
            std::thread::spawn(move || each(stream));
        }
    });
}

/// The paths that are asked for on a connection; each must be answered before the next.
fn paths(stream: &TcpStream) -> impl Iterator<Item = String> + use<> {
    let mut lines = BufReader::new(stream.try_clone().expect("share a connection")).lines().map_while(Result::ok);
    std::iter::from_fn(move || {
        let first = lines.next()?;
        lines.by_ref().take_while(|line| !line.is_empty()).for_each(drop);
        Some(first.split(' ').nth(1)?.to_owned())
    })
}

/// A broken app in front of which something still leads every visitor of `/` to a login.
pub(crate) fn with_login(listen: SocketAddr) {
    serve(listen, |mut stream| {
        for path in paths(&stream) {
            let status = if path == "/" { "302 Found\r\nLocation: /login" } else { "500 Internal Server Error" };
            let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
            if stream.write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    });
}

/// An app that takes nothing but the PROXY protocol, and closes a connection that begins otherwise.
pub(crate) fn behind_proxy_protocol(listen: SocketAddr, name: &'static str) {
    serve(listen, move |mut stream| {
        // The line of that protocol is taken for the first of the request; what it names is no path.
        if paths(&stream).next().is_some_and(|path| !path.starts_with('/')) {
            let answer = format!("HTTP/1.1 200 OK\r\nX-App: {name}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            stream.write_all(answer.as_bytes()).ok();
        }
    });
}

/// An app that answers once on a connection, and closes it when it is asked again.
pub(crate) fn answers_once(listen: SocketAddr, name: &'static str) {
    serve(listen, move |mut stream| {
        let mut paths = paths(&stream);
        if paths.next().is_some() {
            let answer = format!("HTTP/1.1 200 OK\r\nX-App: {name}\r\nContent-Length: 0\r\n\r\n");
            stream.write_all(answer.as_bytes()).ok();
            paths.next();
        }
    });
}
