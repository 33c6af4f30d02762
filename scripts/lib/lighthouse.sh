# shellcheck shell=bash
# Lighthouse, from npm. Needs messages.sh and apt.sh.

# The last major version that runs on the Node.js of Debian 12.
LIGHTHOUSE_VERSION=12.8.2
LIGHTHOUSE_FOLDER=${XDG_CACHE_HOME:-$HOME/.cache}/clawdeploy-tests/lighthouse-$LIGHTHOUSE_VERSION
LIGHTHOUSE=$LIGHTHOUSE_FOLDER/node_modules/lighthouse/cli/index.js

# Makes sure that Lighthouse is in the cache folder, and Node.js on this machine to run it.
prepare_lighthouse() {
    if ! { command -v node && command -v npm; } >/dev/null; then
        { command -v apt-get >/dev/null && can_be_root && install_packages nodejs npm; } ||
            fail "Lighthouse needs Node.js; have root run: apt-get install nodejs npm"
    fi
    node -e 'process.exit(parseInt(process.versions.node) < 18 ? 1 : 0)' ||
        fail "Lighthouse needs Node.js 18 or newer, and this is $(node --version)."
    [ ! -f "$LIGHTHOUSE" ] || return 0
    say "Getting Lighthouse $LIGHTHOUSE_VERSION from npm; the first time this takes about a minute."
    mkdir -p "$LIGHTHOUSE_FOLDER"
    npm install --prefix "$LIGHTHOUSE_FOLDER" --no-audit --no-fund --silent "lighthouse@$LIGHTHOUSE_VERSION" ||
        fail "npm could not install Lighthouse, for the reason above; it needs a package registry, so look at the network first."
}
