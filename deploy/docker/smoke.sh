#!/bin/sh
# Whether an image has the check: smoke.sh IMAGE VERSION
set -eu

[ $# -eq 2 ] || { echo "usage: smoke.sh IMAGE VERSION" >&2; exit 2; }
image=$1
version=$2

# Not through the entrypoint, which starts the Agent.
inside() {
    program=$1
    shift
    docker run --rm --entrypoint "$program" "$image" "$@"
}

shown=$(inside agent integration show datadog-metta-checks)
case $shown in
    *"Installed version: $version"*) ;;
    *) echo "$image does not have datadog-metta-checks $version: $shown" >&2; exit 1 ;;
esac
inside /opt/datadog-agent/embedded/bin/python -c "from datadog_checks.metta_checks import MettaChecks"
active=$(inside find /etc/datadog-agent/conf.d/metta_checks.d -name "*.yaml")
[ -z "$active" ] || { echo "$image has active configuration, which every runner would read: $active" >&2; exit 1; }
echo "$image has datadog-metta-checks $version"
