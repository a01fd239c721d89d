//! Sections of every kind: which there are, and where each begins and ends.

use crate::document::Place;

/// Keywords that begin a section, beside the proxies (configuration manual, 2.2 to 3.4).
const OTHERS: &[&str] = &[
    "acme",
    "cache",
    "crt-store",
    "fcgi-app",
    "global",
    "healthcheck",
    "http-errors",
    "log-forward",
    "log-profile",
    "mailers",
    "namespace_list",
    "peers",
    "program",
    "resolvers",
    "ring",
    "traces",
    "userlist",
];

/// One section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// Its keyword, such as `backend`.
    pub keyword: String,
    /// Its name; `None` where it has none, or where that is not known.
    pub name: Option<String>,
    /// Where it begins. It ends where the next section of the file does, or the file.
    pub place: Place,
    /// Whether it stands in an `.if` that is not decided, so that it may not be there at all.
    pub conditional: bool,
}

/// Whether a line that begins so begins a section, other than a proxy's.
pub(crate) fn begins(keyword: &str) -> bool {
    OTHERS.contains(&keyword)
}
