//! stub
use std::time::Instant;

use async_trait::async_trait;

use super::{Identity, Notify, Service, ServiceError};
use crate::config::settings::Action;

/// x
#[derive(Debug)]
pub struct Systemd {}

impl Systemd {
    /// x
    pub fn new(_unit: &str, _action: Action) -> Self {
        Self {}
    }
}

#[async_trait]
impl Service for Systemd {
    fn acts(&self) -> Vec<String> {
        Vec::new()
    }
    async fn check(&self) -> Result<(), ServiceError> {
        Ok(())
    }
    async fn identity(&self) -> Result<Option<Identity>, ServiceError> {
        Ok(None)
    }
    async fn apply(
        &self,
        _before: Option<&Identity>,
        _deadline: Instant,
        _notify: Notify<'_>,
    ) -> Result<Identity, ServiceError> {
        Err(ServiceError::untouched(""))
    }
}
