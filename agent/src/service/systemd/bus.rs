//! The part of systemd's D-Bus interface that a restart needs (org.freedesktop.systemd1(5)).

use std::collections::HashMap;
use std::time::Duration;

use zbus::{Connection, DBusError, connection};
use zbus::{OwnedObjectPath, OwnedVariant, Variant};

/// Every call ends by then. The calls only queue jobs or read, so systemd answers in milliseconds.
const CALL: Duration = Duration::from_secs(5);

#[zbus::proxy(
    interface = "org.freedesktop.systemd1.Manager",
    default_service = "org.freedesktop.systemd1",
    default_path = "/org/freedesktop/systemd1"
)]
pub(super) trait Manager {
    /// Without it systemd sends no signals.
    fn subscribe(&self) -> zbus::Result<()>;
    fn load_unit(&self, name: &str) -> zbus::Result<OwnedObjectPath>;
    fn restart_unit(&self, name: &str, mode: &str) -> zbus::Result<OwnedObjectPath>;
    fn reload_unit(&self, name: &str, mode: &str) -> zbus::Result<OwnedObjectPath>;
    fn list_jobs(&self) -> zbus::Result<Vec<Job>>;

    #[zbus(signal)]
    fn job_removed(&self, id: u32, job: OwnedObjectPath, unit: String, result: String) -> zbus::Result<()>;
}

/// Id, unit, type, state, the job's path and the unit's.
type Job = (u32, String, String, String, OwnedObjectPath, OwnedObjectPath);

#[zbus::proxy(
    interface = "org.freedesktop.PolicyKit1.Authority",
    default_service = "org.freedesktop.PolicyKit1",
    default_path = "/org/freedesktop/PolicyKit1/Authority"
)]
trait Authority {
    fn check_authorization(
        &self,
        subject: &(&str, HashMap<&str, Variant<'_>>),
        action: &str,
        details: HashMap<&str, &str>,
        flags: u32,
        cancellation: &str,
    ) -> zbus::Result<(bool, bool, HashMap<String, String>)>;
}

/// What systemd says about a unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct State {
    /// `loaded`, `not-found`, `masked`, `bad-setting` or `error`.
    pub(super) load: String,
    /// `active`, `reloading`, `inactive`, `failed`, `activating` or `deactivating`.
    pub(super) active: String,
    /// More exactly, such as `running` or `auto-restart`.
    pub(super) sub: String,
    pub(super) can_reload: bool,
    /// In hexadecimal; `None` before the first start.
    pub(super) invocation: Option<String>,
    /// 0 when there is none, or none that systemd knows.
    pub(super) main_pid: u32,
    /// `success`, or what ended it, such as `exit-code` or `start-limit-hit`.
    pub(super) result: String,
    pub(super) exit_status: i32,
}

/// Connects to the system bus, or to `DBUS_SYSTEM_BUS_ADDRESS`.
pub(super) async fn connect() -> zbus::Result<Connection> {
    let connecting = connection::Builder::system().method_timeout(CALL).build();
    match tokio::time::timeout(CALL, connecting).await {
        Ok(connection) => connection,
        Err(late) => Err(std::io::Error::from(late).into()),
    }
}

/// Reads a unit's state at one moment: systemd gives the properties of all interfaces for the empty one.
pub(super) async fn state(connection: &Connection, unit: &str) -> zbus::Result<State> {
    let path = ManagerProxy::new(connection).await?.load_unit(unit).await?;
    let reply = connection
        .call_method(Some("org.freedesktop.systemd1"), &path, Some("org.freedesktop.DBus.Properties"), "GetAll", &"")
        .await?;
    let mut properties: HashMap<String, OwnedVariant> = reply.body().deserialize()?;
    let invocation: Vec<u8> = take(&mut properties, "InvocationID")?;
    let hexadecimal: String = invocation.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(State {
        load: take(&mut properties, "LoadState")?,
        active: take(&mut properties, "ActiveState")?,
        sub: take(&mut properties, "SubState")?,
        can_reload: take(&mut properties, "CanReload")?,
        invocation: Some(hexadecimal).filter(|text| !text.is_empty()),
        main_pid: take(&mut properties, "MainPID")?,
        result: take(&mut properties, "Result")?,
        exit_status: take(&mut properties, "ExecMainStatus")?,
    })
}

/// Whether systemd has a job for the unit, waiting or running.
pub(super) async fn has_job(connection: &Connection, unit: &str) -> zbus::Result<bool> {
    let manager = ManagerProxy::new(connection).await?;
    // The job's own word for the unit may be another of its names.
    let wanted = manager.load_unit(unit).await?;
    let jobs = manager.list_jobs().await?;
    Ok(jobs.iter().any(|(.., unit)| *unit == wanted))
}

fn take<T>(properties: &mut HashMap<String, OwnedVariant>, name: &str) -> zbus::Result<T>
where
    T: TryFrom<OwnedVariant>,
{
    properties
        .remove(name)
        .and_then(|value| T::try_from(value).ok())
        .ok_or_else(|| zbus::Error::Failure(format!("the unit has no {name}; is it a service?")))
}

/// Whether this answer to a call that queues a job means that no job was queued. Anything else, such as the `NoReply` and
/// `Disconnected` by which the bus speaks for a systemd that did not answer, leaves it open.
pub(super) fn is_refusal(error: &zbus::Error) -> bool {
    match error {
        zbus::Error::MethodError(name, ..) => REFUSALS.contains(&name.as_str()),
        zbus::Error::FDO(error) => REFUSALS.contains(&error.name().as_str()),
        _ => false,
    }
}

/// What systemd (`bus-common-errors.h`) and the bus answer before a transaction is put into effect.
const REFUSALS: [&str; 17] = [
    "org.freedesktop.DBus.Error.AccessDenied",
    "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired",
    "org.freedesktop.DBus.Error.InvalidArgs",
    "org.freedesktop.DBus.Error.NameHasNoOwner",
    "org.freedesktop.DBus.Error.ServiceUnknown",
    "org.freedesktop.DBus.Error.UnknownInterface",
    "org.freedesktop.DBus.Error.UnknownMethod",
    "org.freedesktop.DBus.Error.UnknownObject",
    "org.freedesktop.systemd1.BadUnitSetting",
    "org.freedesktop.systemd1.JobTypeNotApplicable",
    "org.freedesktop.systemd1.LoadFailed",
    "org.freedesktop.systemd1.NoSuchUnit",
    "org.freedesktop.systemd1.OnlyByDependency",
    "org.freedesktop.systemd1.TransactionIsDestructive",
    "org.freedesktop.systemd1.TransactionJobsConflicting",
    "org.freedesktop.systemd1.TransactionOrderIsCyclic",
    "org.freedesktop.systemd1.UnitMasked",
];

/// Asks polkit about our right to manage units. Whether it says yes proves nothing either way, for its rules may
/// depend on the unit, which only systemd may tell it; that it answers is what counts.
pub(super) async fn ask_polkit(connection: &Connection, start_time: u64) -> zbus::Result<()> {
    let subject =
        HashMap::from([("pid", Variant::from(std::process::id())), ("start-time", Variant::from(start_time))]);
    AuthorityProxy::new(connection)
        .await?
        .check_authorization(&("unix-process", subject), "org.freedesktop.systemd1.manage-units", HashMap::new(), 0, "")
        .await
        .map(|_| ())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use zbus::message::Message;

    use super::*;

    fn answer(name: &str) -> zbus::Error {
        let call = Message::method_call("/", "RestartUnit").build(&()).unwrap();
        let reply = Message::error(&call.header(), name).build(&"no").unwrap();
        reply.into()
    }

    #[test]
    fn only_a_refusal_means_that_the_app_was_not_touched() {
        for refused in ["systemd1.NoSuchUnit", "systemd1.UnitMasked", "DBus.Error.AccessDenied"] {
            assert!(is_refusal(&answer(&format!("org.freedesktop.{refused}"))));
        }
        for open in ["NoReply", "Timeout", "TimedOut", "Disconnected", "Failed", "NoMemory"] {
            let name = format!("org.freedesktop.DBus.Error.{open}");
            assert!(!is_refusal(&answer(&name)), "{open}");
        }
        let late = std::io::Error::from(std::io::ErrorKind::TimedOut);
        assert!(!is_refusal(&zbus::Error::from(late)));
    }
}
