#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Each example is built as libbpcond-client(3) says: against the installed library, with what pkg-config
# gives, and nothing else.
#
# usage: examples.sh BUILD EXAMPLE.c... -- COMPILER...
set -eu
build=$1
shift
scratch=$(mktemp -d)
trap 'rm -r "$scratch"' EXIT
(cd / && meson install --no-rebuild --quiet --tags devel,runtime --destdir "$scratch" -C "$build") >&2
export PKG_CONFIG_SYSROOT_DIR="$scratch"
PKG_CONFIG_PATH=$(dirname "$(find "$scratch" -name libbpcond-client.pc)")
export PKG_CONFIG_PATH

examples=
while [ "$1" != -- ]; do
	examples="$examples $1"
	shift
done
shift

n=0
for example in $examples; do
	n=$((n + 1))
	# shellcheck disable=SC2046 # these are words
	if "$@" "$example" $(pkg-config --cflags --libs libbpcond-client) -o "$scratch/example"; then
		echo "ok $n - ${example##*/} is built as the manual says"
	else
		echo "not ok $n - ${example##*/} is built as the manual says"
	fi
done
echo "1..$n"
