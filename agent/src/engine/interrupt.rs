//! Ctrl-C and signals: once asks the run to stop where it safely can, twice stops it at once.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// How often someone asked the run to stop.
#[derive(Debug, Clone)]
pub struct Interrupt(watch::Receiver<u32>);

impl Interrupt {
    /// Listens for SIGINT, SIGTERM and SIGHUP from now on. `told` is called at each with the count so far.
    pub fn listen(told: impl Fn(u32) + Send + 'static) -> std::io::Result<Self> {
        let (sender, receiver) = watch::channel(0);
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut hangup = signal(SignalKind::hangup())?;
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = interrupt.recv() => sender.send_modify(|count| *count += 1),
                    _ = terminate.recv() => sender.send_modify(|count| *count += 1),
                    // A terminal that goes away says so once or many times; it never means "at once".
                    _ = hangup.recv() => sender.send_modify(|count| *count = (*count).max(1)),
                }
                told(*sender.borrow());
            }
        });
        Ok(Self(receiver))
    }

    /// Nobody ever asks.
    pub fn never() -> Self {
        Self(watch::channel(0).1)
    }

    /// Returns once someone has asked.
    pub async fn asked(&self) {
        self.reached(1).await;
    }

    /// Returns once someone has asked twice.
    pub async fn abandoned(&self) {
        self.reached(2).await;
    }

    /// Whether someone has asked.
    pub fn is_asked(&self) -> bool {
        *self.0.borrow() >= 1
    }

    /// Whether someone has asked twice.
    pub fn is_abandoned(&self) -> bool {
        *self.0.borrow() >= 2
    }

    async fn reached(&self, times: u32) {
        if self.0.clone().wait_for(|count| *count >= times).await.is_err() {
            // Nobody can ask any more.
            std::future::pending::<()>().await;
        }
    }
}
