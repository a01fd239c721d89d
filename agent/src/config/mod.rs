//! `pitstop.toml`: as written ([`file`]), then as checked values ([`settings`]), which are all that the rest sees.

pub mod settings;

pub use settings::Settings;
