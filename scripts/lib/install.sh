# Installing for scripts/setup: quiet, one at a time, servers not started, nothing left half done.
# shellcheck shell=bash
# Reads $testbed, the folder for what is no package, and $command_line, what the person typed.

log=/dev/null

say() { echo "setup: $*"; }

# Ends with what went wrong, and in a last line what to type.
die() {
    printf 'setup: %s\n' "$1" >&2
    printf 'type:  %s\n' "${2:-$command_line}" >&2
    exit 1
}

# Runs a command that is worth reading only when it fails.
quietly() {
    "$@" </dev/null >"$log" 2>&1 9>&- && return
    tail -n 15 "$log" >&2
    die "failed: $*"
}

as_root() {
    if ((EUID == 0)); then "$@"; else sudo "$@"; fi
}

# Debian asks this file whether a server may start after its installation. What was there comes back when we
# leave; after a kill -9, when the next setup starts.
policy=/usr/sbin/policy-rc.d
policy_mark='# written by pitstop scripts/setup'

forbid_servers() {
    if [[ -e $policy ]]; then as_root mv "$policy" "$policy.before-pitstop"; fi
    printf '#!/bin/sh\n%s\nexit 101\n' "$policy_mark" | as_root tee "$policy" >/dev/null
    as_root chmod 755 "$policy"
}

restore_policy() {
    if [[ -e $policy.before-pitstop ]]; then
        as_root mv -f "$policy.before-pitstop" "$policy"
    elif grep -qsF "$policy_mark" "$policy"; then
        as_root rm -f "$policy"
    fi
}

# Mounts below are left alone: a root under construction may hold /dev.
remove() { as_root rm -rf --one-file-system "$@"; }

clean_up() {
    restore_policy
    if [[ -f $log ]]; then rm -f "$log"; fi
    if compgen -G "${testbed:?}/.new.*" >/dev/null; then remove "$testbed"/.new.*; fi
}

# Prints those of the packages that are not installed.
missing() {
    local installed package
    installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' "$@" 2>/dev/null | sed -n 's/^installed //p') || true
    for package; do
        # Any nginx will do, and nginx-light would push out its siblings.
        if [[ $package == nginx-light ]] && command -v nginx >/dev/null; then continue; fi
        grep -qxF "$package" <<<"$installed" || echo "$package"
    done
}

lists_are_fresh=no
refresh_lists() {
    if [[ $lists_are_fresh == yes ]]; then return; fi
    quietly as_root apt-get -q update
    lists_are_fresh=yes
}

install_packages() {
    local packages
    mapfile -t packages < <(missing "$@")
    if ((${#packages[@]} == 0)); then return; fi
    say "installing ${packages[*]}"
    forbid_servers
    quietly as_root dpkg --configure -a # apt refuses to go on from an interrupted installation
    refresh_lists
    quietly as_root env DEBIAN_FRONTEND=noninteractive apt-get -qy -o DPkg::Lock::Timeout=300 \
        -o Dpkg::Options::=--force-confold install --no-install-recommends "${packages[@]}"
    restore_policy
}

# A folder that ends up in the test bed in one move, or not at all.
new_folder() {
    as_root install -d -o "$(id -u)" -g "$(id -g)" "$testbed"
    mktemp -d "$testbed/.new.XXXXXX"
}

begin() {
    command -v apt-get >/dev/null || die 'this needs Debian or Ubuntu'
    if ((EUID != 0)) && ! command -v sudo >/dev/null; then die 'this needs root or sudo'; fi
    umask 022
    # One setup at a time. A folder that every such machine has makes a lock that nobody need create or own.
    exec 9</var/lib/dpkg
    flock --nonblock 9 || { say 'waiting for another setup' && flock 9; }
    trap clean_up EXIT
    trap 'exit 130' HUP INT TERM
    clean_up
    log=$(mktemp)
}
