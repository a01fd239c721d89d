//! Proof that the app is healthy: http, tcp, command.
