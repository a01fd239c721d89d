//! What the apps answer and the clients expect, so that a single wrong byte is seen.

/// The size of a page of the static site, in bytes.
pub const STATIC_BYTES: usize = 64 * 1024;

/// What the pages of the static site are made of.
pub const STATIC_ID: &str = "static";

/// A body of `bytes` bytes that nothing else than this `id` has: the id, line by line.
pub fn body(id: &str, bytes: usize) -> Vec<u8> {
    let line = [id.as_bytes(), b"\n"].concat();
    line.into_iter().cycle().take(bytes).collect()
}

/// The answer to an upload: its id, its length and the CRC-32 of what was received.
pub fn upload_receipt(id: &str, length: usize, checksum: u32) -> String {
    format!("{id} {length} {checksum:08x}\n")
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_body_has_exactly_the_size_asked_for() {
        assert_eq!(super::body("ab", 7), b"ab\nab\na");
    }
}
