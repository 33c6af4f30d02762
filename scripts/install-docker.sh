#!/usr/bin/env bash
# Installs Docker Engine on Ubuntu, Debian and systems made from them, and proves that it works.
#
# Usage: scripts/install-docker.sh [--user NAME] [--mirror URL] [--key URL|FILE]
#
# It takes Docker's official apt repository (https://docs.docker.com/engine/install/), or the
# distribution's own docker.io where that repository cannot be reached. It adds the user to the
# group docker, starts the daemon, with systemd or without it, and runs a container. An engine that
# is there already is left as it is, so a second run changes nothing. It needs root and takes sudo.
#
#   --user NAME     user who may use Docker afterwards (without it: whoever called sudo)
#   --mirror URL    what stands for https://download.docker.com/linux; also from DOCKER_APT_MIRROR
#   --key URL|FILE  key of that repository (without it: URL/debian/gpg or URL/ubuntu/gpg); also from DOCKER_APT_KEY
#   --help          this text

set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=lib/messages.sh
. "$HERE/lib/messages.sh"
# shellcheck source=lib/apt.sh
. "$HERE/lib/apt.sh"
# shellcheck source=lib/docker-daemon.sh
. "$HERE/lib/docker-daemon.sh"
# shellcheck source=lib/docker-repository.sh
. "$HERE/lib/docker-repository.sh"

MIRROR=${DOCKER_APT_MIRROR:-}
KEY=${DOCKER_APT_KEY:-}
NAME=${SUDO_USER:-}

read_arguments() {
    while [ $# -gt 0 ]; do
        case "$1" in
            --help | -h)
                print_help "${BASH_SOURCE[0]}"
                exit 0
                ;;
            --user | --mirror | --key)
                [ -n "${2:-}" ] || fail "$1 needs a value; --help says which."
                case "$1" in
                    --user) NAME=$2 ;;
                    --mirror) MIRROR=$2 ;;
                    --key) KEY=$2 ;;
                esac
                shift 2
                ;;
            *) fail "$1 is not an option of this script; --help shows those it has." ;;
        esac
    done
}

# Starts this script again as root when it is not root yet.
become_root() {
    local again=()
    [ "$(id -u)" -ne 0 ] || return 0
    command -v sudo >/dev/null || fail "Installing Docker needs root and there is no sudo here: run this script as root, with --user $(id -un)."
    # sudo drops most of the environment, so what was given there goes along as options.
    [ -z "$MIRROR" ] || again+=(--mirror "$MIRROR")
    [ -z "$KEY" ] || again+=(--key "$KEY")
    say "Installing Docker needs root; sudo may ask for your password."
    exec sudo -- "$HERE/install-docker.sh" --user "${NAME:-$(id -un)}" "${again[@]}"
}

install_engine() {
    local base=${MIRROR:-https://download.docker.com/linux}
    base=${base%/}
    install_packages ca-certificates curl || fail "apt could not install curl, for the reason above; mend that and start this again."
    if repository_answers "$base"; then
        add_repository "$base" "${KEY:-$base/$DISTRIBUTION/gpg}"
        install_from_repository
    else
        install_from_distribution
    fi
}

add_user_to_group() {
    if [ -z "$NAME" ] || [ "$NAME" = root ] || id -nG "$NAME" | grep -qw docker; then
        return
    fi
    getent group docker >/dev/null || groupadd --system docker
    usermod -aG docker "$NAME"
    CHANGED=yes
    say "$NAME is in the group docker now. That takes effect with a new login: log out and in again, or start 'newgrp docker'."
}

main() {
    read_arguments "$@"
    # This script is about the engine of this machine, whichever one the environment points to.
    unset DOCKER_HOST DOCKER_CONTEXT
    CHANGED=""
    if engine_answers; then
        # Whoever may use the engine already and asks for nothing else needs no root.
        [ -z "$NAME" ] || become_root
    else
        engine_is_installed || read_system
        become_root
    fi
    [ -z "$NAME" ] || id "$NAME" >/dev/null 2>&1 || fail "There is no user $NAME on this machine; --user names one that exists."
    if engine_answers; then
        say "A Docker Engine answers already; it is left as it is."
    else
        CHANGED=yes
        if engine_is_installed; then
            say "Docker Engine is installed but does not run."
            # Newer Debian keeps the docker command in a package of its own.
            command -v docker >/dev/null || install_packages docker-cli || fail "apt could not install the docker command, for the reason above."
        else
            install_engine
        fi
        start_engine
    fi
    add_user_to_group
    prove_engine
    [ -n "$CHANGED" ] || say "Nothing had to be changed."
}

main "$@"
