//! Words of a command that is printed to be typed.

use std::ffi::OsStr;

/// As a shell reads it as one word; what would steer a terminal is shown, not obeyed.
pub(super) fn word(text: impl AsRef<OsStr>) -> String {
    let text = crate::text::escape(&text.as_ref().to_string_lossy());
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-:,@%+=".contains(c);
    match !text.is_empty() && text.chars().all(is_plain) {
        true => text,
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_one_word() {
        assert_eq!(word("/etc/haproxy/haproxy.cfg"), "/etc/haproxy/haproxy.cfg");
        assert_eq!(word("[::1]"), "'[::1]'");
        assert_eq!(word("/a b/it's $x"), r"'/a b/it'\''s $x'");
        assert_eq!(word(""), "''");
    }
}
