# shellcheck shell=bash
# How the scripts talk: plain sentences, trouble on standard error, one question at most.

say() {
    printf '%s\n' "$*"
}

warn() {
    printf '%s\n' "$*" >&2
}

# Ends the script with one sentence that says what to do.
fail() {
    printf '%s\n' "$*" >&2
    exit 1
}

# Whether there is a person to ask: on both ends a terminal.
can_ask() {
    [ -t 0 ] && [ -t 1 ]
}

# Asks a question that Enter answers with yes.
agreed() {
    local answer
    read -r -p "$1 [Y/n] " answer || return 1
    case "$answer" in
        "" | y | Y | yes | Yes) return 0 ;;
        *) return 1 ;;
    esac
}

# Prints the comment block at the top of a script: that block is its help.
print_help() {
    sed -n '2,/^$/ { s/^# \{0,1\}//; p; }' "$1"
}
