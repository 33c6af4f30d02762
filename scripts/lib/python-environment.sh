# shellcheck shell=bash
# The Python environment in .venv. Needs messages.sh, apt.sh and ROOT, the folder of the checkout.

VENV=$ROOT/.venv
STAMP=$VENV/.installed

# Makes .venv with the project in it, or does nothing, quickly, when that was done before. The argument
# names extras of setup.cfg ("test"). YES=yes allows installing Debian's package of the venv module.
prepare_environment() {
    local extra=${1:-} fingerprint
    fingerprint=$(cat "$ROOT/setup.cfg" "$ROOT/pyproject.toml" | sha256sum)
    fingerprint="${fingerprint%% *} $ROOT"
    if [ -x "$VENV/bin/clawdeploy" ] && [ -x "$VENV/bin/python" ] && is_stamped "$fingerprint" "$extra"; then
        return 0
    fi
    [ -w "$ROOT" ] || fail "$(id -un) may not write into $ROOT, where .venv has to be made: put the checkout into a folder of your own."
    find_python
    say "Making the Python environment in .venv and installing ClawDeploy into it; the first time this takes about a minute."
    if [ -e "$VENV" ] && ! "$VENV/bin/python" -c 'import pip' 2>/dev/null; then
        "$PYTHON" -m venv --clear "$VENV"
    elif [ ! -e "$VENV" ]; then
        "$PYTHON" -m venv "$VENV"
    fi
    rm -f "$STAMP"
    "$VENV/bin/python" -m pip install -q --disable-pip-version-check -e "$ROOT${extra:+[$extra]}" ||
        fail "pip could not install ClawDeploy, for the reason above; it needs a package index, so look at the network first."
    printf '%s\n' "$fingerprint" "$extra" >"$STAMP"
}

# Whether what was installed last was made from the same files, and with the extra if one is wanted.
is_stamped() {
    local made=() 
    [ -f "$STAMP" ] && mapfile -t made <"$STAMP"
    [ "${made[0]:-}" = "$1" ] && { [ -z "$2" ] || [ "${made[1]:-}" = "$2" ]; }
}

# Sets PYTHON to a Python of version 3.11 or newer that can make environments.
find_python() {
    local name found=""
    for name in ${PYTHON:+"$PYTHON"} python3 python3.14 python3.13 python3.12 python3.11 python; do
        if found=$(type -P "$name") && "$found" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            PYTHON=$found
            find_venv_module
            return
        fi
    done
    fail "ClawDeploy needs Python 3.11 or newer and there is none on the PATH: install it, $(python_package_hint)."
}

# Says, for whoever has to install Python, which packages of this system hold a version that is new enough.
python_package_hint() {
    local minor
    for minor in 14 13 12 11; do
        if is_available "python3.$minor" 2>/dev/null; then
            echo "for example with: apt-get install python3.$minor python3.$minor-venv"
            return
        fi
    done
    echo "on Debian 12 or Ubuntu 24.04 and newer with: apt-get install python3 python3-venv"
}

# Debian keeps the module that makes environments in a package of its own.
find_venv_module() {
    local package
    "$PYTHON" -c 'import venv, ensurepip' 2>/dev/null && return
    package=$("$PYTHON" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')
    if command -v apt-get >/dev/null && can_be_root; then
        if [ -n "${YES:-}" ] || { can_ask && agreed "Python's venv module is missing. Install the package $package?"; }; then
            install_packages "$package" && return
        fi
    fi
    fail "$PYTHON has no venv module: install the package that holds it, on Debian and Ubuntu with: apt-get install $package"
}
