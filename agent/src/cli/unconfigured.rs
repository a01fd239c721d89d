//! Apps of which something is owing, and that are not in the configuration any more: nobody would ever look at them.

use super::args::Arguments;
use super::aside;
use crate::config::settings::Settings;
use crate::journal;

/// Tells of each, and whether there is one.
pub(super) fn told(arguments: &Arguments, settings: &Settings) -> bool {
    let unsettled = journal::unsettled(&arguments.state_dir);
    let unconfigured: Vec<_> = unsettled.into_iter().filter(|app| settings.app(app).is_err()).collect();
    for app in &unconfigured {
        let folder = journal::app_dir(&arguments.state_dir, app);
        let what =
            format!("{app} is out or owing, by {}, and is not in {}", folder.display(), arguments.config.display());
        let hint = format!(
            "was it renamed? Give it that name again and `pitstop recover {app}`; where it is gone for good: `rm -r {}`",
            folder.display()
        );
        aside::warn(arguments, "not_configured", app, what, hint);
    }
    !unconfigured.is_empty()
}
