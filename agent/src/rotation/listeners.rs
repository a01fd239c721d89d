//! Who listens on a port, as `/proc/net/tcp` shows it (proc(5)).

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

/// Every address on which a process listens on `port`; what can't be read counts as none.
pub(super) async fn listeners(port: u16) -> Vec<SocketAddr> {
    let read = move || {
        let tables = ["/proc/thread-self/net/tcp", "/proc/thread-self/net/tcp6"];
        let files = tables.iter().filter_map(|path| File::open(path).ok());
        files.flat_map(|file| listening(BufReader::new(file), port)).collect()
    };
    tokio::task::spawn_blocking(read).await.unwrap_or_default()
}

/// The kernel lists listeners before all other sockets, so that reading can stop early on a busy host.
fn listening(table: impl BufRead, port: u16) -> Vec<SocketAddr> {
    const LISTEN: &str = "0A";
    table
        .lines()
        .skip(1)
        .map_while(Result::ok)
        .map_while(|line| {
            let mut fields = line.split_whitespace().skip(1);
            let (local, _, state) = (fields.next()?, fields.next()?, fields.next()?);
            (state == LISTEN).then(|| address(local))
        })
        .flatten()
        .filter(|address| address.port() == port)
        .collect()
}

/// Hexadecimal words in the byte order of the machine, a colon, the port.
fn address(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let mut bytes = Vec::new();
    for at in (0..address.len()).step_by(8) {
        let word = u32::from_str_radix(address.get(at..at + 8)?, 16).ok()?;
        bytes.extend(word.to_ne_bytes());
    }
    let address = match bytes.len() {
        4 => Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?).into(),
        16 => Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?).into(),
        _ => return None,
    };
    Some(SocketAddr::new(address, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listeners_are_read_and_connections_are_not() {
        let table = "  sl  local_address rem_address   st\n   \
            0: 0100007F:07D0 00000000:0000 0A 00000000\n   \
            1: 0100007F:07D1 00000000:0000 0A 00000000\n   \
            2: 0100007F:07D0 0100007F:1000 01 00000000\n";
        let found = listening(table.as_bytes(), 2000);
        assert_eq!(found, [SocketAddr::from(([127, 0, 0, 1], 2000))]);
        let table = "header\n 0: 00000000000000000000000001000000:07D0 0:0 0A\n";
        let found = listening(table.as_bytes(), 2000);
        assert_eq!(found, [SocketAddr::from((Ipv6Addr::LOCALHOST, 2000))]);
    }
}
