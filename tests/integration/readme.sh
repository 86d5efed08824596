#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What README.md says can be typed: busctl_lines.sh as an ordinary user on a private bus. TAP on stdout.
#
# usage: readme.sh WITH-DAEMON BUILD SOURCE
set -eu
program=$1
build=$2
source=$3

if [ "$(id -u)" -ne 0 ]; then
	echo "1..0 # SKIP needs root; ./run test sees to it"
	exit 0
fi
scratch=$(mktemp -d)
trap 'rm -rf -- "$scratch"' EXIT
# Sources and build may lie where only root can go.
chmod 755 "$scratch"
install -m 644 "$source/README.md" "$source/tests/integration/busctl_lines.sh" "$scratch"
install -m 755 "$build/tests/targets/loop" "$scratch"
"$program" --build "$build" sh "$scratch/busctl_lines.sh" "$scratch/README.md" "$scratch/loop" </dev/null
