# shellcheck shell=bash
# Chromium and the fonts that it needs. Needs messages.sh and apt.sh.

BROWSER_PACKAGES=(fonts-inter fonts-dejavu-core)
# Ubuntu has Chromium as a snap only; Google Chrome, installed by hand, does as well.
type -P google-chrome-stable >/dev/null || BROWSER_PACKAGES+=(chromium)

# Makes sure that there is a browser, installing it with apt if need be.
prepare_browser() {
    if ! command -v apt-get >/dev/null; then
        type -P chromium >/dev/null || type -P google-chrome-stable >/dev/null || fail "There is no Chromium, and no apt to install it with."
    elif ! { all_installed "${BROWSER_PACKAGES[@]}" || { can_be_root && install_packages "${BROWSER_PACKAGES[@]}"; }; }; then
        fail "Chromium could not be installed; have root run: apt-get install ${BROWSER_PACKAGES[*]}"
    fi
}
