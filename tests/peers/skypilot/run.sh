#!/bin/sh
# Runs the tests marked `skypilot` against a real SkyPilot API server, seeded, offline, on loopback.
#   SKYPILOT_VERSION  the release to install (default 0.14.1); an environment of its own under .venvs
#   SCALE             1 is about 200 jobs, 10 about 2,000
#   PYTHON            a Python 3.11 to make the environment with
set -eu
cd "$(dirname "$0")/../../.."
version=${SKYPILOT_VERSION:-0.14.1}
scale=${SCALE:-1}
venv=.venvs/skypilot
if [ "$(cat "$venv/.version" 2>/dev/null || true)" != "$version" ]; then
    "${PYTHON:-.venv/bin/python}" -m venv "$venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check "skypilot==$version"
    echo "$version" > "$venv/.version"
fi

work=$(mktemp -d)
port=$(.venv/bin/python -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
.venv/bin/python -m tests.peers.skypilot.plan "$scale" > "$work/plan.json"
"$venv/bin/python" tests/peers/skypilot/serve.py "$work/plan.json" "$work/home" "$port" > "$work/serve.log" 2>&1 &
peer=$!
finish() {
    kill -TERM "$peer" 2>/dev/null && wait "$peer" || true
    rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT TERM

waited=0
until grep -q '^READY' "$work/serve.log"; do
    if ! kill -0 "$peer" 2>/dev/null || [ "$waited" -ge 600 ]; then
        cat "$work/serve.log" >&2
        tail -n 40 "$work/home/server.log" >&2 || true
        exit 1
    fi
    sleep 1
    waited=$((waited + 1))
done
grep -E '^(seeded|READY)' "$work/serve.log"

METTA_SKYPILOT_PEER="http://127.0.0.1:$port" METTA_SKYPILOT_PLAN="$work/plan.json" METTA_SKYPILOT_PEER_PID="$peer" \
    .venv/bin/python -m pytest -q -m skypilot tests/skypilot "$@"
