#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Runs a test script in a box with a real systemd, where that is possible, and says in TAP where it is
# not; with BPCOND_MUST_WORK=1 that is a failure.
#
# usage: run_test.sh SOURCE BUILD TEST.sh [ARGUMENTS OF THE TEST...]
set -euo pipefail
source=$1
build=$2
test=$3

cannot() {
	if [[ ${BPCOND_MUST_WORK-} == 1 ]]; then
		printf '1..1\nnot ok 1 - %s\n' "$1"
		exit 1
	fi
	echo "1..0 # SKIP $1"
	exit 0
}

((EUID == 0)) || cannot "needs root; ./run test sees to it"
for program in /lib/systemd/systemd /usr/lib/polkit-1/polkitd dbus-daemon unshare nsenter; do
	command -v "$program" >/dev/null || cannot "there is no $program"
done

# Debian's 3 allows perf events to nobody, and in the box nothing of the kernel's can be set.
setting=/proc/sys/kernel/perf_event_paranoid
paranoid=$(cat "$setting")
if ((paranoid > 2)); then
	echo "kernel.perf_event_paranoid: $paranoid, set to 2 until this ends" >&2
	echo 2 >"$setting"
fi

status=0
output=$(mktemp)
trap 'rm -f -- "$output"; ((paranoid <= 2)) || echo "$paranoid" >"$setting"' EXIT
"$source/tests/system/in_systemd.sh" --with "$source" --with "$build" \
	"$source/tests/system/$test" "$source" "$build" "${@:4}" >"$output" || status=$?
((status != 125)) || [[ -s $output ]] || cannot "no systemd can be started beside this one"
cat "$output"
exit "$status"
