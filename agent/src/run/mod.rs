//! The pure core of a pit stop.
