# shellcheck shell=bash
# Starting the Docker daemon of this machine and proving that it works. Needs messages.sh, and root.

ENGINE_LOG=/var/log/dockerd.log
ENGINE_START_SECONDS=60
PULL_SECONDS=60

# Whether the engine of this machine answers the current user.
engine_answers() {
    command -v docker >/dev/null && [ -n "$(timeout 10 docker version --format '{{.Server.Version}}' 2>/dev/null)" ]
}

engine_is_installed() {
    command -v dockerd >/dev/null
}

has_systemd() {
    [ -d /run/systemd/system ]
}

# Starts the installed daemon, with systemd or without it, and waits until it answers.
start_engine() {
    choose_iptables
    if has_systemd; then
        say "Starting Docker with systemd."
        systemctl reset-failed docker.service 2>/dev/null || true
        systemctl enable --now docker.service >/dev/null 2>&1 ||
            fail "systemd could not start Docker; 'journalctl -u docker' says why."
        wait_for_engine
        return
    fi
    mount_control_groups
    if ! engine_runs; then
        forget_dead_engine
        say "There is no systemd here, so Docker's daemon is started directly; its log is $ENGINE_LOG."
        setsid dockerd >>"$ENGINE_LOG" 2>&1 </dev/null &
        disown
    fi
    wait_for_engine "${!:-}"
}

# Waits until the engine answers, or until the process that was given, if one was, has ended.
wait_for_engine() {
    local daemon=${1:-} deadline=$((SECONDS + ENGINE_START_SECONDS))
    until engine_answers; do
        if [ "$SECONDS" -ge "$deadline" ]; then
            fail "Docker's daemon runs but did not answer within $ENGINE_START_SECONDS s; look at its log ($ENGINE_LOG or journalctl -u docker)."
        fi
        if [ -n "$daemon" ] && ! kill -0 "$daemon" 2>/dev/null && ! engine_runs; then
            tail -n 15 "$ENGINE_LOG" >&2
            fail "Docker's daemon ended right after its start; the lines above are the end of its log, $ENGINE_LOG."
        fi
        sleep 0.2
    done
}

# Whether a daemon of this machine is running, answering or not.
engine_runs() {
    process_in_file /var/run/docker.pid dockerd || process_in_file /var/run/docker-ssd.pid dockerd
}

process_in_file() {
    local pid
    pid=$(cat "$1" 2>/dev/null) && [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = "$2" ]
}

# After a power cut the files of the dead daemon are still there. When their process numbers have
# gone to other programs since, the new daemon would believe that it runs already.
forget_dead_engine() {
    local folder=/var/run/docker/containerd
    process_in_file /var/run/docker.pid dockerd || rm -f /var/run/docker.pid
    process_in_file "$folder/containerd.pid" containerd || rm -f "$folder/containerd.pid"
}

# Some kernels know only the older of iptables' two ways; Docker cannot make its network then.
choose_iptables() {
    if command -v iptables-legacy >/dev/null && ! iptables -t nat -nL >/dev/null 2>&1 && iptables-legacy -t nat -nL >/dev/null 2>&1; then
        say "This kernel has no nftables, so iptables is switched to its legacy mode."
        update-alternatives --set iptables /usr/sbin/iptables-legacy >/dev/null
        update-alternatives --set ip6tables /usr/sbin/ip6tables-legacy >/dev/null 2>&1 || true
    fi
}

# Containers, chroots and small virtual machines come without the control groups that limits need.
mount_control_groups() {
    local root=/sys/fs/cgroup
    if ! mountpoint -q "$root"; then
        say "Mounting the kernel's control groups, which containers' limits need."
        mount -t tmpfs -o mode=0755,nosuid,nodev,noexec cgroup "$root"
        mount_first_version "$root"
        if ! compgen -G "$root/*memory*" >/dev/null; then
            # This kernel keeps memory for version 2 of control groups, which is one tree for everything.
            umount -R "$root"
            mount -t cgroup2 cgroup2 "$root"
        fi
    fi
    if [ -f "$root/cgroup.controllers" ] && ! grep -qw memory "$root/cgroup.subtree_control"; then
        share_control_groups "$root"
    fi
}

# Mounts version 1 of control groups: the trees that exist already, as they are, because processes outside of
# this container or chroot rely on them; where there are none, a tree for each kind of limit.
mount_first_version() {
    local root=$1 group
    {
        awk -F: '$2 != "" { print $2 }' /proc/self/cgroup | grep . ||
            awk '!/^#/ && $4 == 1 { print $1 }' /proc/cgroups
    } | while read -r group; do
        mkdir -p "$root/${group#name=}"
        case "$group" in
            name=*) mount -t cgroup -o "none,$group" cgroup "$root/${group#name=}" ;;
            *) mount -t cgroup -o "$group" cgroup "$root/$group" ;;
        esac 2>/dev/null || rmdir "$root/${group#name=}"
    done
}

# In version 2, children may have limits only when no process is left in the group itself, unless it is the kernel's root.
share_control_groups() {
    local wanted pid
    wanted=$(sed -e 's/[^ ]*/+&/g' "$1/cgroup.controllers")
    if ! echo "$wanted" >"$1/cgroup.subtree_control" 2>/dev/null; then
        mkdir -p "$1/init"
        while read -r pid; do
            echo "$pid" >"$1/init/cgroup.procs" 2>/dev/null || true
        done <"$1/cgroup.procs"
        echo "$wanted" >"$1/cgroup.subtree_control" || warn "Control groups cannot be shared out here; containers may fail to start."
    fi
}

# Shows that the engine works: it tells about itself and it runs a container.
prove_engine() {
    local about
    about=$(timeout 30 docker info --format '{{.ServerVersion}} ({{.Driver}} storage, {{.OperatingSystem}})') ||
        fail "Docker answers but 'docker info' fails; look at its log ($ENGINE_LOG or journalctl -u docker)."
    say "Docker Engine $about answers."
    if docker image inspect hello-world >/dev/null 2>&1; then
        run_proof hello-world "Docker's own hello-world"
    elif pull_hello_world; then
        run_proof hello-world "Docker's own hello-world"
        docker image rm hello-world >/dev/null
    else
        local image=clawdeploy-proof:local
        image_of_program "$(type -P echo)" | docker import - "$image" >/dev/null
        run_proof "$image" "a container made here, because no registry can be reached" /bin/program "Hello from a container"
        docker image rm "$image" >/dev/null
    fi
}

pull_hello_world() {
    say "Pulling Docker's hello-world, to see a container run; this takes at most $PULL_SECONDS s."
    timeout "$PULL_SECONDS" docker pull -q hello-world >/dev/null 2>&1
}

# Runs a container once: IMAGE, what it is in words, and the command if the image has none.
run_proof() {
    local image=$1 words=$2 said
    shift 2
    if ! said=$(timeout 60 docker run --rm "$image" "$@" 2>&1) || [[ $said != *[Hh]ello* ]]; then
        warn "$said"
        fail "Docker answers but cannot run a container; the lines above say why, and so does its log ($ENGINE_LOG or journalctl -u docker)."
    fi
    say "A container runs: $words."
}

# Writes, as a tar archive, a file system that holds one program of this machine as /bin/program and the libraries it needs.
image_of_program() {
    local program=$1 library folder
    folder=$(mktemp -d)
    mkdir "$folder/bin"
    cp "$program" "$folder/bin/program"
    while read -r library; do
        mkdir -p "$folder${library%/*}"
        cp -L "$library" "$folder$library"
    done < <(ldd "$program" 2>/dev/null | grep -o '/[^ ]*')
    tar -c --owner=0 --group=0 --numeric-owner -C "$folder" .
    rm -rf "$folder"
}
