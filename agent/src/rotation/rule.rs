//! A rule as `iptables -S` prints it: the words, in whatever order this version of iptables has them.

use std::net::IpAddr;

/// One `-A` line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// The chain it is in.
    pub chain: String,
    /// The line as printed.
    pub line: String,
    words: Vec<String>,
}

impl Rule {
    /// Reads a line; `None` for what is not a rule, or whose quotes do not match (a comment with a newline prints so).
    pub fn parse(line: &str) -> Option<Self> {
        let mut words = words(line)?.into_iter();
        if words.next()? != "-A" {
            return None;
        }
        Some(Self { chain: words.next()?, line: line.to_owned(), words: words.collect() })
    }

    /// The word after `option`, where it is given and not negated.
    pub fn value(&self, option: &str) -> Option<&str> {
        let (negated, value) = self.find(option)?;
        (!negated).then_some(value)
    }

    /// The address of `-s` or `-d`, where it is one single address.
    pub fn address(&self, option: &str) -> Option<IpAddr> {
        let value = self.value(option)?;
        let (address, length) = value.split_once('/').unwrap_or((value, ""));
        let address: IpAddr = address.parse().ok()?;
        let single = match address {
            IpAddr::V4(_) => "32",
            IpAddr::V6(_) => "128",
        };
        (length.is_empty() || length == single).then_some(address)
    }

    /// Whether a packet to `address` may match its `-d`, which can be missing, negated, or a network; what can't be understood may.
    /// Of the unspecified address every destination is one.
    pub fn may_be_to(&self, address: IpAddr) -> bool {
        let within = |network| contains(network, address).unwrap_or(true);
        address.is_unspecified() || self.find("-d").is_none_or(|(negated, network)| negated || within(network))
    }

    /// Whether it has `option` at all, negated or not.
    pub fn has(&self, option: &str) -> bool {
        self.words.iter().any(|word| word == option)
    }

    /// Whether it has no other options than these, and none negated.
    pub fn only(&self, options: &[&str]) -> bool {
        let option = |word: &&String| word.starts_with('-') || *word == "!";
        self.words.iter().filter(option).all(|word| options.contains(&word.as_str()))
    }

    /// What follows `-A CHAIN`, if every word of it is plain enough to be typed again: no quotes, no control characters.
    pub fn retyped(&self) -> Option<String> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "_.,:/!@+%=[]-".contains(c);
        let all: String = self.words.join(" ");
        let typed = self.line.split(' ').skip(2).collect::<Vec<_>>().join(" ");
        (all == typed && self.words.iter().all(|word| word.chars().all(plain))).then_some(all)
    }

    /// The packets it has counted, where the listing was made with `-v`.
    pub fn packets(&self) -> Option<u64> {
        self.value("-c")?.parse().ok()
    }

    /// Whether it names `port` as a destination: alone, in a list, in a range, or by excluding others.
    pub fn names_port(&self, port: u16) -> bool {
        ["--dport", "--dports", "--ports"]
            .iter()
            .filter_map(|option| self.find(option))
            .any(|(negated, value)| negated != value.split(',').any(|part| covers(part, ':', port)))
    }

    fn find(&self, option: &str) -> Option<(bool, &str)> {
        let at = self.words.iter().position(|word| word == option)?;
        let negated = at.checked_sub(1).and_then(|before| self.words.get(before)).is_some_and(|word| word == "!");
        Some((negated, self.words.get(at + 1)?))
    }
}

/// Whether `part`, a port or a range of ports, has `port` in it.
pub(super) fn covers(part: &str, separator: char, port: u16) -> bool {
    let (first, last) = part.split_once(separator).unwrap_or((part, part));
    let (Ok(first), Ok(last)) = (first.trim().parse::<u16>(), last.trim().parse::<u16>()) else {
        return false;
    };
    (first..=last).contains(&port)
}

/// Whether `network`, an address with or without the length of its prefix, has `address` in it; `None` for anything else.
pub(super) fn contains(network: &str, address: IpAddr) -> Option<bool> {
    let (first, length) = network.split_once('/').map_or((network, None), |(first, length)| (first, Some(length)));
    let bits = |address| -> (u128, u32) {
        match address {
            IpAddr::V4(address) => (u128::from(u32::from(address)) << 96, 32),
            IpAddr::V6(address) => (u128::from(address), 128),
        }
    };
    let (first, longest) = bits(first.parse().ok()?);
    let (address, of_address) = bits(address);
    let length = length.map_or(Some(longest), |length| length.parse().ok())?;
    let outside = longest.checked_sub(length).and_then(|_| 128_u32.checked_sub(length))?;
    let prefix = |bits: u128| bits.checked_shr(outside).unwrap_or(0);
    Some(longest == of_address && prefix(first) == prefix(address))
}

/// Splits at spaces; a quoted word may hold spaces, and a backslash takes the next character as it is.
fn words(line: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quoted = false;
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            '\\' if quoted => word.get_or_insert_default().push(characters.next()?),
            ' ' if !quoted => words.extend(word.take()),
            other => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    (!quoted).then_some(words)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use proptest::prelude::*;

    #[test]
    fn values_are_found_in_any_order_and_negated_ones_are_not_taken_for_plain() {
        let line = r#"-A X -s 10.0.0.5/32 -p tcp -m tcp --dport 2000 -m mark ! --mark 0x1 -c 7 420 -j REJECT"#;
        let rule = Rule::parse(line).unwrap();
        assert_eq!(rule.chain, "X");
        assert_eq!(rule.value("--dport"), Some("2000"));
        assert_eq!(rule.value("--mark"), None);
        assert!(rule.has("--mark"));
        assert_eq!(rule.address("-s"), Some([10, 0, 0, 5].into()));
        assert_eq!(rule.packets(), Some(7));
    }

    #[test]
    fn ports_are_found_alone_in_lists_in_ranges_and_by_exclusion() {
        let names = |match_: &str| {
            let line = format!("-A OUTPUT -p tcp {match_} -j REDIRECT --to-ports 2000");
            Rule::parse(&line).unwrap().names_port(2000)
        };
        assert!(names("--dport 2000"));
        assert!(names("--dport 1000:3000"));
        assert!(names("-m multiport --dports 80,1999:2001"));
        assert!(names("! --dport 80"));
        assert!(!names("! --dport 2000"));
        assert!(!names("--dport 20000"));
        assert!(!names("--sport 2000"));
        assert!(!names(""));
    }

    #[test]
    fn a_rule_for_another_address_is_told_from_one_for_ours() {
        let app: IpAddr = [10, 0, 0, 5].into();
        let to = |match_: &str| Rule::parse(&format!("-A OUTPUT {match_}-p tcp -j ACCEPT")).unwrap().may_be_to(app);
        for ours in ["", "-d 10.0.0.5/32 ", "-d 10.0.0.0/29 ", "-d 0.0.0.0/0 ", "! -d 10.0.0.6/32 ", "-d what "] {
            assert!(to(ours), "{ours}");
        }
        for other in ["-d 10.0.0.6/32 ", "-d 10.0.0.8/29 ", "-d ::1/128 ", "-d 10.0.0.6 "] {
            assert!(!to(other), "{other}");
        }
        assert_eq!(contains("fd00::/16", "fd00::7".parse().unwrap()), Some(true));
        assert_eq!(contains("10.0.0.5/33", app), None);
        let everywhere = Rule::parse("-A OUTPUT -d 10.0.0.6/32 -j ACCEPT").unwrap();
        assert!(everywhere.may_be_to(std::net::Ipv4Addr::UNSPECIFIED.into()));
    }

    #[test]
    fn a_comment_can_not_pass_for_an_option() {
        let line = r#"-A OUTPUT -p tcp -m comment --comment "say \" --dport 2000" --dport 80 -j ACCEPT"#;
        assert!(!Rule::parse(line).unwrap().names_port(2000));
        assert_eq!(Rule::parse(r#"-A OUTPUT --comment "torn"#), None);
    }

    proptest! {
        #[test]
        fn no_line_makes_the_parser_fail(line in ".{0,80}", port: u16, address: IpAddr) {
            contains(&line, address);
            if let Some(rule) = Rule::parse(&line) {
                rule.names_port(port);
                rule.may_be_to(address);
                rule.packets();
                rule.address("-s");
            }
        }
    }
}
