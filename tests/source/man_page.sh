#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A program's --help and its man page name the same long options, and the man page has no mistakes
# that man(1) knows of. TAP on stdout.
#
# usage: man_page.sh PROGRAM PAGE
set -eu
program=$1
page=$2
name=$(basename -- "$program")
failed=0

options() {
	grep -oE -e '--[a-z][a-z-]*' | sort -u
}

helped=$("$program" --help | options)
written=$(sed 's/\\-/-/g' "$page" | grep -v '^\.\\"' | options)
if [ "$helped" = "$written" ]; then
	echo "ok 1 - $name --help and $(basename -- "$page") name the same options"
else
	failed=1
	echo "not ok 1 - $name --help and $(basename -- "$page") name the same options"
	printf -- '--help:\n%s\nthe page:\n%s\n' "$helped" "$written" >&2
fi
if ! command -v groff >/dev/null; then
	echo "ok 2 - $name: the page has no mistakes # SKIP no groff"
else
	mistakes=$(groff -man -Tascii -ww -z "$page" 2>&1)
	if [ -z "$mistakes" ]; then
		echo "ok 2 - $name: the page has no mistakes"
	else
		failed=1
		echo "not ok 2 - $name: the page has no mistakes"
		printf '%s\n' "$mistakes" >&2
	fi
fi
echo "1..2"
exit "$failed"
