//! Intent and outcome on disk.
