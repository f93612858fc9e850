#!/bin/sh
# Installs the check into the Datadog Agent of this host, and keeps it there.
#
#   install.sh --wheel datadog_metta_checks-0.2.0-py3-none-any.whl --source github --source ec2
#   install.sh --ensure        after an upgrade of the Agent: install again what the upgrade removed
#   install.sh --uninstall
#
# Running it again changes nothing that is right already. Every host that has a source's file reads that source: choose one host.
#
# An upgrade of the Agent's package replaces its Python. Packages whose names begin with `datadog-` are restored from
# Datadog's own repository only, and a private wheel is not there. So the wheel and this script stay in the state directory, and
# the Agent's unit runs `--ensure` before every start.
set -eu

NAME=datadog-metta-checks
CHECK=metta_checks
MINIMUM=7.72
SOURCES="asana ec2 github kubernetes skypilot wandb"

WHEEL=
WANTED=
MODE=install
DRY_RUN=
RESTART=yes
CONF_DIR=/etc/datadog-agent/conf.d
STATE_DIR=/var/lib/datadog-metta-checks
UNIT_DIR=/etc/systemd/system/datadog-agent.service.d
AGENT_USER=dd-agent

say() { printf '%s\n' "$*"; }
fail() { printf 'install.sh: %s\n' "$*" >&2; exit 1; }

usage() {
    cat <<'TEXT'
usage: install.sh --wheel FILE [--source NAME]... [--dry-run] [--no-restart]
       install.sh --ensure | --uninstall [--dry-run] [--no-restart]

  --wheel FILE       the wheel to install
  --source NAME      asana, ec2, github, kubernetes, skypilot or wandb: make NAME.yaml of its example; may be repeated
  --ensure           install the kept wheel again if the Agent does not have it, and nothing else
  --uninstall        remove the check, the kept wheel and the unit's drop-in; configuration files stay
  --dry-run          say what would be done
  --no-restart       leave the Agent alone
  --conf-dir DIR     default /etc/datadog-agent/conf.d
  --state-dir DIR    where the wheel is kept; default /var/lib/datadog-metta-checks
  --unit-dir DIR     default /etc/systemd/system/datadog-agent.service.d
TEXT
}

# Runs a command that changes something; says it instead with --dry-run.
run() {
    if [ -n "$DRY_RUN" ]; then
        say "would run: $*"
    else
        "$@"
    fi
}

# The Agent's own files belong to its user: as root, what it writes must not become root's.
agent() {
    if [ "$(id -u)" -eq 0 ] && id "$AGENT_USER" >/dev/null 2>&1; then
        runuser -u "$AGENT_USER" -- datadog-agent "$@"
    else
        datadog-agent "$@"
    fi
}

installed() { agent integration show "$NAME" 2>/dev/null | sed -n 's/^Installed version: *//p'; }

# The version in a wheel's file name.
version_of() { basename "$1" | sed -n 's/^datadog_metta_checks-\([0-9][^-]*\)-.*\.whl$/\1/p'; }

older() { [ "$1" != "$2" ] && [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1)" = "$1" ]; }

require_agent() {
    command -v datadog-agent >/dev/null 2>&1 || fail "no datadog-agent on the PATH; install the Datadog Agent first"
    found=$(datadog-agent version 2>/dev/null | sed -n 's/^Agent \([0-9][0-9.]*\).*/\1/p' | head -n 1)
    [ -n "$found" ] || fail "'datadog-agent version' names no version; is the Agent installed completely?"
    ! older "$found" "$MINIMUM" || fail "this is Agent $found; $MINIMUM is the oldest that the check supports: upgrade it"
}

# Checksum of the wheel that was installed last. A wheel can be built again under the same version.
RECORD=installed.cksum

install_wheel() {
    version=$(version_of "$1")
    [ -n "$version" ] || fail "$1 is not a wheel of $NAME"
    present=$(installed)
    # With --dry-run the wheel may not be in its place yet.
    checksum=$([ ! -r "$1" ] || cksum <"$1")
    if [ "$present" = "$version" ]; then
        if [ "$(cat "$STATE_DIR/$RECORD" 2>/dev/null)" = "$checksum" ]; then
            say "$NAME $version is installed"
            return 0
        fi
        # The Agent does nothing for a version that it has.
        run agent integration remove "$NAME"
    fi
    run agent integration install -w "$1"
    CHANGED=yes
    [ -z "$DRY_RUN" ] || return 0
    [ "$(installed)" = "$version" ] ||
        fail "the Agent does not show $NAME $version after the installation; see the lines above"
    printf '%s\n' "$checksum" >"$STATE_DIR/$RECORD"
}

keep_wheel() {
    kept="$STATE_DIR/$(basename "$1")"
    self="$STATE_DIR/install.sh"
    if ! cmp -s -- "$1" "$kept" || ! cmp -s -- "$0" "$self"; then
        run install -d -m 755 "$STATE_DIR"
        for old in "$STATE_DIR"/datadog_metta_checks-*.whl; do
            [ ! -e "$old" ] || [ "$old" = "$kept" ] || run rm -f "$old"
        done
        cmp -s -- "$1" "$kept" || run install -m 644 -- "$1" "$kept"
        cmp -s -- "$0" "$self" || run install -m 755 -- "$0" "$self"
    fi
    KEPT=$kept
}

# Before every start of the Agent, so also after the restart that ends an upgrade. `-`: the Agent starts all the same if it fails.
drop_in() {
    options=
    [ "$STATE_DIR" = /var/lib/datadog-metta-checks ] || options=" --state-dir \"$STATE_DIR\""
    cat <<TEXT
# Made by install.sh of $NAME: an upgrade of the Agent removes the check.
[Service]
ExecStartPre=-+"$STATE_DIR/install.sh" --ensure --no-restart$options
TEXT
}

keep_unit() {
    if ! command -v systemctl >/dev/null 2>&1; then
        say "no systemd here: run \"$STATE_DIR/install.sh\" --ensure after every upgrade of the Agent"
        return 0
    fi
    unit="$UNIT_DIR/$NAME.conf"
    if [ -f "$unit" ] && [ "$(cat "$unit")" = "$(drop_in)" ]; then
        return 0
    fi
    run install -d -m 755 "$UNIT_DIR"
    if [ -n "$DRY_RUN" ]; then
        say "would write: $unit"
    else
        drop_in >"$unit"
    fi
    run systemctl daemon-reload
}

configure() {
    for source in $WANTED; do
        file="$CONF_DIR/$CHECK.d/$source.yaml"
        if [ -e "$file" ]; then
            say "$file is there and stays as it is"
            continue
        fi
        if [ ! -e "$file.example" ]; then
            [ -z "$DRY_RUN" ] || { say "would make: $file"; continue; }
            fail "$file.example is missing: the installation did not bring it"
        fi
        # Not for everyone to read, even before somebody writes a secret into it.
        run install -m 640 "$file.example" "$file"
        if [ "$(id -u)" -eq 0 ] && id "$AGENT_USER" >/dev/null 2>&1; then
            run chown "$AGENT_USER:$AGENT_USER" "$file"
        fi
        EDIT="${EDIT:-} \"$file\""
        CHANGED=yes
    done
}

restart() {
    [ -n "${CHANGED:-}" ] || return 0
    if [ "$RESTART" = yes ] && command -v systemctl >/dev/null 2>&1; then
        run systemctl restart datadog-agent
    else
        say "restart the Agent for the change to take effect"
    fi
}

uninstall() {
    if [ -n "$(installed)" ]; then
        run agent integration remove "$NAME"
        CHANGED=yes
    fi
    if [ -e "$UNIT_DIR/$NAME.conf" ]; then
        run rm -f "$UNIT_DIR/$NAME.conf"
        ! command -v systemctl >/dev/null 2>&1 || run systemctl daemon-reload
    fi
    for kept in "$STATE_DIR"/datadog_metta_checks-*.whl "$STATE_DIR/install.sh" "$STATE_DIR/$RECORD"; do
        [ ! -e "$kept" ] || run rm -f "$kept"
    done
    # A file that is not ours stays, and the Agent is restarted all the same.
    [ ! -d "$STATE_DIR" ] || run rmdir "$STATE_DIR" 2>/dev/null || say "$STATE_DIR stays: it holds other files"
    restart
    say "left as they are: the configuration files in $CONF_DIR/$CHECK.d"
}

ensure() {
    for kept in "$STATE_DIR"/datadog_metta_checks-*.whl; do
        [ -e "$kept" ] || fail "no wheel in $STATE_DIR; run install.sh --wheel first"
        install_wheel "$kept"
    done
    restart
}

while [ $# -gt 0 ]; do
    case $1 in
        --wheel | --source | --conf-dir | --state-dir | --unit-dir)
            [ $# -ge 2 ] || fail "$1 needs a value"
            case $1 in
                --wheel) WHEEL=$2 ;;
                --source)
                    case " $SOURCES " in
                        *" $2 "*) WANTED="$WANTED $2" ;;
                        *) fail "there is no source '$2'; there are: $SOURCES" ;;
                    esac ;;
                --conf-dir) CONF_DIR=$2 ;;
                --state-dir) STATE_DIR=$2 ;;
                --unit-dir) UNIT_DIR=$2 ;;
            esac
            shift ;;
        --ensure) MODE=ensure ;;
        --uninstall) MODE=uninstall ;;
        --dry-run) DRY_RUN=yes ;;
        --no-restart) RESTART=no ;;
        -h | --help) usage; exit 0 ;;
        *) usage >&2; fail "unknown option $1" ;;
    esac
    shift
done

case $STATE_DIR in
    # The path becomes a quoted word of a unit, in which these have a meaning.
    *[\"\\\$%]*) fail "--state-dir may not contain a quote, a backslash, a dollar or a percent sign" ;;
    /*) ;;
    *) fail "--state-dir must be an absolute path" ;;
esac

require_agent
case $MODE in
    ensure) ensure ;;
    uninstall) uninstall ;;
    install)
        [ -n "$WHEEL" ] || { usage >&2; fail "--wheel is missing"; }
        [ -f "$WHEEL" ] || fail "$WHEEL: no such file"
        [ -n "$(version_of "$WHEEL")" ] || fail "$WHEEL is not a wheel of $NAME"
        # The kept one is installed: the Agent's user may not be able to read the other.
        keep_wheel "$WHEEL"
        install_wheel "$KEPT"
        configure
        keep_unit
        if [ -n "${EDIT:-}" ]; then
            say "edit before the Agent reads them:$EDIT"
            say "then: datadog-agent check $CHECK && systemctl restart datadog-agent"
        else
            restart
        fi ;;
esac
