#!/bin/sh
# Stands in for `datadog-agent` on a host: keeps the installed version in a file, and answers as the real one does.
set -eu
echo "datadog-agent $*" >>"$STANDIN/calls"
case "$1${2:+ $2}" in
    version) echo "Agent ${STANDIN_VERSION:-7.81.1} - Commit: 0123456 - Serialization version: v5.0.1 - Go version: go1.25" ;;
    "integration show")
        [ -f "$STANDIN/installed" ] || { echo "Error: could not get current version: integration $3 is not installed" >&2; exit 1; }
        printf 'Package %s:\nInstalled version: %s\n' "$3" "$(cat "$STANDIN/installed")" ;;
    "integration install")
        [ "$3" = -w ] && [ -r "$4" ]
        [ -z "${STANDIN_FAIL:-}" ] || { echo "Error: error when validating the wheel" >&2; exit 1; }
        version=$(basename "$4" | cut -d- -f2)
        if [ -f "$STANDIN/installed" ] && [ "$(cat "$STANDIN/installed")" = "$version" ]; then
            echo "datadog-metta-checks $version is already installed. Nothing to do."
            exit 0
        fi
        echo "$version" >"$STANDIN/installed"
        cat "$4" >"$STANDIN/package"
        mkdir -p "$STANDIN/conf.d/metta_checks.d"
        for source in asana ec2 github kubernetes skypilot wandb; do
            printf 'instances:\n  - source: %s\n' "$source" >"$STANDIN/conf.d/metta_checks.d/$source.yaml.example"
        done ;;
    "integration remove") rm "$STANDIN/installed" "$STANDIN/package" ;;
    *) echo "Error: unknown command \"$*\"" >&2; exit 1 ;;
esac
