# shellcheck shell=bash
# The engine as the server will see it, and the image of the stand-in. Needs messages.sh,
# python-environment.sh and HERE, the folder of the scripts.

LOCAL_IMAGE=clawdeploy-standin:local
STANDIN_IMAGE=${CLAWDEPLOY_STANDIN_IMAGE:-nginx:alpine}
STANDIN_PULL_SECONDS=120

# Sets IMAGES to those of the stand-in's images that the engine has; fails when no engine answers.
# The server's own library asks, so that the answer is the server's, wherever DOCKER_HOST points to.
look_at_engine() {
    IMAGES=$("$VENV/bin/python" "$HERE/lib/engine_images.py" "$STANDIN_IMAGE" "$LOCAL_IMAGE")
}

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
    say "Pulling the image $STANDIN_IMAGE, for at most $((STANDIN_PULL_SECONDS / 60)) minutes."
    if timeout "$STANDIN_PULL_SECONDS" docker pull -q "$STANDIN_IMAGE" >/dev/null 2>&1; then
        return 0
    fi
    say "$STANDIN_IMAGE cannot be pulled here, so a small stand-in is built instead."
    "$HERE/build-standin"
}
