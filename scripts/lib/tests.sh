# shellcheck shell=bash
# What tests need besides Python. Needs messages.sh and apt.sh.

# On a server that builds, something missing is a failure at once; for a person the tests say it where they need it.
missing() {
    [ -z "${CI:-}" ] || fail "$*"
    warn "$* The tests that need it will fail."
}

# Installs the packages that are not there yet, without a question.
prepare_packages() {
    if ! command -v apt-get >/dev/null; then
        missing "This system has no apt; install yourself what these packages of Debian hold: $*."
    elif ! all_installed "$@" && { ! can_be_root || ! install_packages "$@"; }; then
        missing "Not all packages are there; have root run: apt-get install $*."
    fi
}
