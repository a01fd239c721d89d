//! `same-address`, `init-addr`: where servers are.

use haproxy_cfg::lint::Rule;
use integration::haproxy::{Backend, Server};

use crate::config::{at, main_entry, web, with_backend};
use crate::harm::Harm;
use crate::scene::by;

#[test]
fn same_address_goes_on_sending_requests_to_an_app_whose_other_entry_is_out() {
    let again = Server::new("webA2", at(1001)).cookie("A2").word("check inter 100ms");
    let bad = web(&[], &[main_entry('A'), again, main_entry('B')]);
    let good = web(&[], &[main_entry('A').word("weight 2"), main_entry('B')]);
    let everybody = [by("webA"), by("webB")].into();
    Harm::of(Rule::SameAddress).shows((bad, everybody), (good, [by("webB")].into()), |scene| {
        scene.haproxy.set_state("srvs/webA", "maint");
        scene.ask_around()
    });
}

#[test]
fn init_addr_keeps_haproxy_from_starting_while_a_name_is_not_known() {
    // There is no name server in a new network namespace, and no name ends like this: RFC 6761, section 6.4.
    let config = |words: &str| {
        let backend = Backend::new("srvs").line("option httpchk GET /health");
        with_backend(backend.line(&format!("server webA app.invalid:1001 check {words}")), &[])
            .line("resolvers dns\n    nameserver local 127.0.0.1:53")
    };
    for bad in ["", "init-addr last,libc", "init-addr last,libc resolvers dns"] {
        for good in ["init-addr last,libc,none", "init-addr libc,127.0.0.1", "resolvers dns"] {
            Harm::of(Rule::InitAddr).prevents_start(&config(bad), &config(good));
        }
    }
}
