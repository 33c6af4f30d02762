# shellcheck shell=bash
# Installing packages with apt. Needs messages.sh.

# Whoever became root with "su" alone has a PATH without the programs for root, and dpkg refuses to work then.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

# How long another program may hold apt's locks. Unattended upgrades on a machine that was just
# started take minutes.
APT_LOCK_SECONDS=600

# What has to stand before a command that needs root: nothing, or sudo.
AS_ROOT=()
if [ "$(id -u)" -ne 0 ]; then
    AS_ROOT=(sudo)
fi

can_be_root() {
    [ "$(id -u)" -eq 0 ] || command -v sudo >/dev/null
}

# Runs apt-get without questions and without its chatter; shows what it said only when it failed.
# apt-get waits by itself for dpkg's lock, but not for the lock of the package lists, so that is tried again here.
apt_get() {
    local deadline=$((SECONDS + APT_LOCK_SECONDS)) said status told=""
    said=$(mktemp)
    while true; do
        status=0
        "${AS_ROOT[@]}" env LC_ALL=C DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=l apt-get -q -y \
            -o DPkg::Lock::Timeout=5 -o Dpkg::Options::=--force-confold "$@" >"$said" 2>&1 </dev/null || status=$?
        if [ "$status" -eq 0 ] || ! grep -q 'Could not get lock' "$said" || [ "$SECONDS" -ge "$deadline" ]; then
            break
        fi
        if [ -z "$told" ]; then
            say "Another program is installing packages right now; waiting for it, at most $((APT_LOCK_SECONDS / 60)) minutes."
            told=yes
        fi
        sleep 2
    done
    if [ "$status" -ne 0 ]; then
        cat "$said" >&2
    fi
    rm -f "$said"
    return "$status"
}

is_installed() {
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# Whether all of these packages are installed.
all_installed() {
    local package
    for package in "$@"; do
        is_installed "$package" || return 1
    done
}

# Whether apt could install the package from the lists that it has.
is_available() {
    [ -n "$(apt-cache show --no-all-versions "$1" 2>/dev/null)" ]
}

# Installs those of the packages that are not installed yet; does nothing, quickly, when all are.
install_packages() {
    local package missing=()
    for package in "$@"; do
        is_installed "$package" || missing+=("$package")
    done
    if [ ${#missing[@]} -eq 0 ]; then
        return 0
    fi
    if [ -n "$(dpkg --audit 2>/dev/null)" ]; then
        say "An earlier installation was interrupted; finishing it first."
        "${AS_ROOT[@]}" env DEBIAN_FRONTEND=noninteractive dpkg --configure -a --force-confold </dev/null >/dev/null
    fi
    say "Installing ${missing[*]} with apt; depending on the network this takes seconds to minutes."
    # Old package lists name files that the server has replaced since, so a failure is tried again with new ones.
    if lists_are_fresh && apt_get install --no-install-recommends "${missing[@]}" 2>/dev/null; then
        return 0
    fi
    apt_get update || warn "apt could not refresh all of its package lists; going on with those it has."
    apt_get install --no-install-recommends "${missing[@]}"
}

# Whether apt has package lists and looked for new ones within a day.
lists_are_fresh() {
    local lists=/var/lib/apt/lists
    [ -n "$(find "$lists" -maxdepth 0 -mtime -1 2>/dev/null)" ] && compgen -G "$lists/*_Packages*" >/dev/null
}
