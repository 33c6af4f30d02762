# shellcheck shell=bash
# Docker's own apt repository: which part of it fits this system, and telling apt about it.
# Needs messages.sh and apt.sh, and root.

KEYRINGS=/etc/apt/keyrings
SOURCES=/etc/apt/sources.list.d

# What the official instructions install.
DOCKER_PACKAGES=(docker-ce docker-ce-cli containerd.io docker-buildx-plugin docker-compose-plugin)

# Sets DISTRIBUTION (debian or ubuntu) and CODENAME of the repository that fits this system. A
# derivative says in os-release what it was made from; the codename is then the one of its origin.
read_system() {
    local facts=()
    mapfile -t facts < <(
        unset ID ID_LIKE VERSION_CODENAME UBUNTU_CODENAME DEBIAN_CODENAME PRETTY_NAME
        # shellcheck disable=SC1091
        . /etc/os-release 2>/dev/null
        printf '%s\n' "${ID:-}" "${ID_LIKE:-}" "${VERSION_CODENAME:-}" "${UBUNTU_CODENAME:-}" "${DEBIAN_CODENAME:-}" "${PRETTY_NAME:-this system}"
    )
    case " ${facts[0]} ${facts[1]} " in
        *" ubuntu "*)
            DISTRIBUTION=ubuntu
            CODENAME=${facts[3]:-${facts[2]}}
            ;;
        *" debian "*)
            DISTRIBUTION=debian
            CODENAME=${facts[4]:-$(codename_of_debian_version)}
            if [ "${facts[0]}" = debian ]; then
                CODENAME=${facts[2]:-$CODENAME}
            fi
            ;;
        *)
            fail "This script knows Ubuntu, Debian and systems made from them, and this is ${facts[5]}: install Docker Engine as https://docs.docker.com/engine/install/ says."
            ;;
    esac
}

# Derivatives keep /etc/debian_version: "12.5", or "trixie/sid" while that release was in the making.
codename_of_debian_version() {
    local version
    version=$(cat /etc/debian_version 2>/dev/null) || return 0
    case "$version" in
        11*) echo bullseye ;;
        12*) echo bookworm ;;
        13*) echo trixie ;;
        14*) echo forky ;;
        */*) echo "${version%%/*}" ;;
    esac
}

# Whether the repository at the base URL has something for this system; says what is wrong when not.
repository_answers() {
    local status=0
    curl -fsSL --retry 2 --connect-timeout 10 --max-time 30 -o /dev/null "$1/$DISTRIBUTION/dists/$CODENAME/InRelease" 2>/dev/null || status=$?
    case "$status" in
        0) return 0 ;;
        22) say "Docker's apt repository at $1/$DISTRIBUTION has nothing for '$CODENAME'." ;;
        *) say "Docker's apt repository at $1/$DISTRIBUTION cannot be reached (curl: $status)." ;;
    esac
    return 1
}

# Tells apt about the repository: BASE, and KEY as a URL or a file. Writes only what differs.
add_repository() {
    local base=$1 key=$2 keyring known
    known=$(grep -lsF "$base/$DISTRIBUTION" /etc/apt/sources.list "$SOURCES"/*.list "$SOURCES"/*.sources | grep -vxF "$SOURCES/docker.sources") || true
    if [ -n "$known" ]; then
        say "apt knows this repository already, from $known; that is left as it is."
        return
    fi
    install -d -m 0755 "$KEYRINGS"
    keyring=$(mktemp)
    if [ -f "$key" ]; then
        cp "$key" "$keyring"
    else
        curl -fsSL --retry 2 --connect-timeout 10 --max-time 30 -o "$keyring" "$key" || fail "The repository's key cannot be had from $key; --key gives another URL or a file."
    fi
    # apt tells the two forms of a key, text and binary, by the ending of the name.
    if grep -q 'BEGIN PGP PUBLIC KEY BLOCK' "$keyring"; then
        KEYRING=$KEYRINGS/docker.asc
    else
        KEYRING=$KEYRINGS/docker.gpg
    fi
    write_if_different "$KEYRING" <"$keyring"
    rm -f "$keyring"
    write_if_different "$SOURCES/docker.sources" <<SOURCE
Types: deb
URIs: $base/$DISTRIBUTION
Suites: $CODENAME
Components: stable
Architectures: $(dpkg --print-architecture)
Signed-By: $KEYRING
SOURCE
}

# Puts standard input into a file that everyone may read, unless it is there already.
write_if_different() {
    local new
    new=$(mktemp)
    cat >"$new"
    if ! cmp -s "$new" "$1"; then
        install -m 0644 "$new" "$1"
        say "Wrote $1."
    fi
    rm -f "$new"
}

# Installs Docker Engine from the repository that apt was told about.
install_from_repository() {
    local package wanted=() refused
    say "Reading the package lists."
    # A broken repository of somebody else must not stop this; whether ours was read shows right after.
    refused=$(apt_get update 2>&1) || true
    for package in "${DOCKER_PACKAGES[@]}"; do
        if is_available "$package"; then
            wanted+=("$package")
        fi
    done
    if [[ " ${wanted[*]} " != *" docker-ce "* ]]; then
        warn "$refused"
        # apt would complain about a repository that it cannot use at every later update.
        rm -f "$SOURCES/docker.sources"
        fail "apt does not accept Docker's repository for $DISTRIBUTION $CODENAME, for the reason above; if its signature does not fit, --key gives another key."
    fi
    say "Installing ${wanted[*]}; depending on the network this takes a minute or more."
    apt_get install "${wanted[@]}" || fail "apt could not install Docker Engine, for the reason above; mend that and start this again."
}

# Installs the distribution's own Docker, which is older, and what it needs to make networks and to
# start containers on kernels with AppArmor.
install_from_distribution() {
    local packages=(docker.io iptables ca-certificates)
    say "Taking the distribution's own package docker.io instead, which is older."
    apt_get update || warn "apt could not refresh all of its package lists; going on with those it has."
    if is_available docker-cli; then
        packages+=(docker-cli)
    fi
    if [ -d /sys/kernel/security/apparmor ]; then
        packages+=(apparmor)
    fi
    install_packages "${packages[@]}" || fail "apt could not install docker.io, for the reason above; mend that and start this again."
}
