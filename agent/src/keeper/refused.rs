//! A recovery that was refused leaves no trace but its words, which nobody may read at boot: that its run is still owing is said aloud.

use std::fs;
use std::io;
use std::path::Path;

use crate::engine::Engine;
use crate::journal::app_dir;

/// Says by `on_alert` that what `run` left of `app` is still owing, and `why`; once for each run, however often its recovery is tried, and
/// by whom. What was said last is in `apps/APP/refused`.
pub async fn say_once(engine: &mut Engine<'_>, state_dir: &Path, app: &str, run: &str, why: &str) {
    let path = app_dir(state_dir, app).join("refused");
    if fs::read_to_string(&path).is_ok_and(|said| said.trim_end() == run) {
        return;
    }
    engine.tell(format!("pitstop: what run {run} of {app} left is still owing: {why}")).await;
    let said = format!("{run}\n");
    // Said twice is better than never.
    if let Err(error) = write(&path, &said) {
        tracing::warn!(%error, "could not note that it was said aloud");
    }
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    let new = path.with_extension("new");
    fs::write(&new, text)?;
    fs::rename(new, path)
}
