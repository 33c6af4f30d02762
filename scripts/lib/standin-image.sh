# shellcheck shell=bash
# The image of the stand-in. Needs messages.sh, engine.sh and HERE, the folder of the scripts.

STANDIN_PULL_SECONDS=120

# Gets the image of the stand-in: one that is there is used as it is, else it is pulled, else built.
prepare_standin_image() {
    # An image that somebody asked for by name is worth another try; the usual one is not while there is a stand-in for it.
    if [[ $IMAGES == *"$STANDIN_IMAGE"* || (-z ${CLAWDEPLOY_STANDIN_IMAGE:-} && -n $IMAGES) ]]; then
        return 0
    fi
    if ! command -v docker >/dev/null; then
        say "The image $STANDIN_IMAGE is not on this machine; the server pulls it when the first bot is made."
        return 0
    fi
    # The docker command may have a context that leads elsewhere; the image has to be where the server will look.
    local -x DOCKER_HOST=${DOCKER_HOST:-unix://$SOCKET}
    say "Pulling the image $STANDIN_IMAGE, for at most $((STANDIN_PULL_SECONDS / 60)) minutes."
    if timeout "$STANDIN_PULL_SECONDS" docker pull -q "$STANDIN_IMAGE" >/dev/null 2>&1; then
        return 0
    fi
    say "$STANDIN_IMAGE cannot be pulled here, so a small stand-in is built instead."
    "$HERE/build-standin"
}
