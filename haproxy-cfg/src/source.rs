//! What is read: files as bytes, and what their meaning depends on beside them.

use std::collections::{BTreeMap, BTreeSet};

/// One file, in the order in which HAProxy is given them (`-f`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Its name, for people.
    pub name: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

impl Source {
    /// A file of this name and content.
    pub fn new(name: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        Self { name: name.into(), bytes: bytes.into() }
    }
}

/// What variables and conditions depend on: the environment of HAProxy, and which HAProxy it is. What is not told here is unknown,
/// and so is whatever depends on it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Environment {
    /// All environment variables; `None` where they are not known. What `global` sections make of them counts from the line
    /// on where it stands. From 3.1 on that is so in master-worker mode alone; without, HAProxy reads `global` sections twice, and
    /// what they set is already there at the second time.
    pub variables: Option<BTreeMap<String, String>>,
    /// HAProxy's version, as 3, 0, 11.
    pub version: Option<[u32; 3]>,
    /// What HAProxy was built with, by the names of `haproxy -vv`, such as `OPENSSL`.
    pub features: Option<BTreeSet<String>>,
}
