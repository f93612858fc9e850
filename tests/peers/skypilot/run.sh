#!/bin/sh
# Runs the tests marked `skypilot` against a real SkyPilot API server, seeded, offline, on loopback: once for each release.
#   SKYPILOT_VERSIONS  the releases to install (default: an old one and the newest); each has an
#                      environment of its own under .venvs
#   SCALE              1 is about 200 jobs, 10 about 2,000
#   PYTHON             a Python 3.11 to make the environments with
set -eu
cd "$(dirname "$0")/../../.."
work=$(mktemp -d)
peer=
finish() {
    [ -z "$peer" ] || { kill -TERM "$peer" 2>/dev/null && wait "$peer" || true; }
    peer=
}
trap 'finish; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

install() { # VERSION VENV
    [ "$(cat "$2/.version" 2>/dev/null || true)" = "$1" ] && return
    "${PYTHON:-.venv/bin/python}" -m venv "$2"
    constraints=tests/peers/skypilot/constraints-$1.txt
    [ -f "$constraints" ] || constraints=/dev/null
    "$2/bin/python" -m pip install --quiet --disable-pip-version-check --constraint "$constraints" "skypilot==$1"
    echo "$1" > "$2/.version"
}

start() { # VENV DIR: sets url
    mkdir -p "$2/import"
    release=$(HOME="$2/import" "$1/bin/python" -c '
from sky.jobs.state import ManagedJobStatus
from sky.server.constants import API_VERSION
print(API_VERSION, *(status.value for status in ManagedJobStatus))')
    # shellcheck disable=SC2086 # Words.
    .venv/bin/python -m tests.peers.skypilot.plan "${SCALE:-1}" $release > "$2/plan.json"
    "$1/bin/python" tests/peers/skypilot/serve.py "$2/plan.json" "$2/home" > "$2/serve.log" 2>&1 &
    peer=$!
    waited=0
    until grep -q '^READY' "$2/serve.log"; do
        if ! kill -0 "$peer" 2>/dev/null || [ "$waited" -ge 900 ]; then
            cat "$2/serve.log" >&2
            tail -n 40 "$2/home/server.log" >&2 || true
            exit 1
        fi
        sleep 1
        waited=$((waited + 1))
    done
    grep -E '^(seeded [0-9]|attempt|READY)' "$2/serve.log"
    url=$(sed -n 's/^READY \([^ ]*\).*/\1/p' "$2/serve.log")
}

failed=0
for version in ${SKYPILOT_VERSIONS:-0.11.2 0.14.1}; do
    echo "SkyPilot $version"
    venv=.venvs/skypilot-$version
    install "$version" "$venv"
    mkdir "$work/$version"
    start "$venv" "$work/$version"
    METTA_SKYPILOT_PEER="$url" METTA_SKYPILOT_PLAN="$work/$version/plan.json" METTA_SKYPILOT_PEER_PID="$peer" \
        .venv/bin/python -m pytest -q -m skypilot tests/skypilot "$@" || failed=1
    finish
done
exit "$failed"
