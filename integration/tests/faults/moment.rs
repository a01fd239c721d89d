//! Moments of a run at which something can be done to it.

use std::time::Duration;

use integration::load::{Load, Options};
use integration::pitstop::Run;
use integration::request::Held;
use integration::world::{Builder, World};

pub(crate) const SOON: Duration = Duration::from_secs(60);

/// A world whose runs rest at [`before_the_redirect_is_removed`].
pub(crate) fn resting(builder: Builder) -> Builder {
    builder.drain_line("sticky_grace = \"60s\"")
}

/// Clients of whom none sticks, so that a run rests for nobody but the one that the test holds.
pub(crate) fn load(world: &World) -> Load {
    let clients = Options { short: 4, per_request: 4, long: 4, long_max: 300, ..Options::nobody(world.frontend()) };
    let load = Load::start(&clients);
    load.wait_for_requests(100, SOON);
    load
}

/// Starts a restart of the first app, and acts after all that can be looked at was looked at: someone who sticks is left the time
/// to end.
pub(crate) fn before_the_redirect_is_removed<T>(world: &World, act: impl FnOnce() -> T) -> (Run, T) {
    let sticky = Held::conversation(world.frontend(), "SERVER=A");
    let restart = world.pitstop.start(&["restart", "webA"]);
    world.haproxy.wait_for_status("srvs/webA", "DRAIN", SOON);
    let done = act();
    drop(sticky);
    (restart, done)
}

/// Whether both entries of the first app are up.
pub(crate) fn first_app_is_in(world: &World) -> bool {
    world.servers(0).iter().all(|server| world.haproxy.status(server).starts_with("UP"))
}
