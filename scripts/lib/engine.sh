# shellcheck shell=bash
# The engine that the server will use: looking at it, and getting one where none answers. Needs messages.sh,
# apt.sh, python-environment.sh and HERE, the folder of the scripts; YES=yes answers the question.

SOCKET=/var/run/docker.sock
LOCAL_IMAGE=clawdeploy-standin:local
USUAL_IMAGE=nginx:alpine
STANDIN_IMAGE=${CLAWDEPLOY_STANDIN_IMAGE:-$USUAL_IMAGE}

# Sets IMAGES to those of the stand-in's images that the engine has; fails when no engine answers.
# The server's own library asks, so that the answer is the server's, wherever DOCKER_HOST points to.
look_at_engine() {
    # shellcheck disable=SC2034  # standin-image.sh reads it.
    IMAGES=$("$VENV/bin/python" "$HERE/lib/engine_images.py" "$STANDIN_IMAGE" "$LOCAL_IMAGE")
}

# Gets an engine that answers, if that can be done; says what to do when it cannot.
prepare_engine() {
    look_at_engine || take_engine_of_context || install_engine || return 1
}

# The docker command may know an engine that the environment does not name, a rootless one for example.
take_engine_of_context() {
    local host
    [ -z "${DOCKER_HOST:-}" ] && command -v docker >/dev/null || return 1
    host=$(docker context inspect --format '{{.Endpoints.docker.Host}}' 2>/dev/null) || return 1
    # The server speaks to sockets and addresses, not through ssh.
    [[ $host == unix://* || $host == tcp://* ]] && [ "$host" != "unix://$SOCKET" ] || return 1
    export DOCKER_HOST=$host
    if look_at_engine; then
        say "Using the engine of your Docker context; for clawdeploy serve say: export DOCKER_HOST=$host"
        return 0
    fi
    unset DOCKER_HOST
    return 1
}

install_engine() {
    local command="$HERE/install-docker.sh"
    if [ -n "${DOCKER_HOST:-}" ]; then
        warn "No Docker Engine answers at DOCKER_HOST=$DOCKER_HOST: start it there, or unset DOCKER_HOST to use one on this machine."
        return 1
    fi
    if ! can_be_root; then
        warn "No Docker Engine answers $(id -un), and there is no sudo here: have root run $command --user $(id -un), then log in again."
        return 1
    fi
    # An installed engine that does not run, after a restart of the machine perhaps, is started without a question.
    if [ -z "$YES" ] && ! { command -v dockerd >/dev/null && [ "$(id -u)" -eq 0 ]; }; then
        if ! can_ask; then
            warn "No Docker Engine answers $(id -un): $command installs and starts one, or start this again with --yes."
            return 1
        fi
        agreed "No Docker Engine answers $(id -un). Install and start one with $command?" || return 1
    fi
    "$command" || return 1
    look_at_engine || { borrow_socket && look_at_engine; }
}

# Being in the group docker takes effect with the next login, and this is still the one before.
borrow_socket() {
    [ -S "$SOCKET" ] && [ ! -w "$SOCKET" ] || return 1
    say "Until you log in again, you may use Docker because its socket belongs to you now."
    "${AS_ROOT[@]}" chown "$(id -un)" "$SOCKET"
}
