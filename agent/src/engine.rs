//! The one place that acts.
