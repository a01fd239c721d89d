//! The promises of the configuration, each tried on a text.
