# shellcheck shell=bash
# The image of the stand-in. Needs messages.sh, engine.sh and HERE, the folder of the scripts.

STANDIN_PULL_SECONDS=120

# Gets the image of the stand-in: one that is there is used as it is, else it is pulled. Where that cannot be done,
# one is built in place of the usual image; an image that somebody chose is never replaced by another.
prepare_standin_image() {
    local built_instead=
    [[ $STANDIN_IMAGE != "$USUAL_IMAGE" ]] || built_instead=yes
    if has_image "$STANDIN_IMAGE" || { [ -n "$built_instead" ] && has_image "$LOCAL_IMAGE"; }; then
        return 0
    fi
    if [[ $STANDIN_IMAGE == "$LOCAL_IMAGE" ]]; then
        "$HERE/build-standin"
        return
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
    if [ -z "$built_instead" ]; then
        warn "$STANDIN_IMAGE, which CLAWDEPLOY_STANDIN_IMAGE names, cannot be pulled: bring it here with docker load, or correct the name."
        return 1
    fi
    say "$STANDIN_IMAGE cannot be pulled here, so a small stand-in is built instead."
    "$HERE/build-standin"
}

# Whether the engine has this image; look_at_engine asked it.
has_image() {
    [[ $'\n'"$IMAGES"$'\n' == *$'\n'"$1"$'\n'* ]]
}
