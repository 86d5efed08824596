#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Runs the lines of README.md's section "From a shell" as they stand, as an ordinary user on the bus that
# the environment names, with $pid and $address of a running program; and looks at what they print.
# TAP on stdout.
#
# usage: busctl_lines.sh README LOOP-PROGRAM
# shellcheck disable=SC2317 # functions are called by name
set -eu
readme=$1
program=$2
scratch=$(mktemp -d)
number=0
failed=0
target=
trap '[ -z "$target" ] || kill "$target"; rm -rf -- "$scratch"' EXIT

# ok TEXT COMMAND...: one TAP line.
ok() {
	text=$1
	shift
	number=$((number + 1))
	if "$@" >"$scratch/check" 2>&1; then
		echo "ok $number - $text"
	else
		echo "not ok $number - $text"
		cat "$scratch/check" "$scratch/out" >&2
		failed=1
	fi
}

prints() {
	grep -qxF -- "$1" "$scratch/out"
}

# call N: has the program call its function N times.
call() {
	echo "call $1" >&8
	read -r _ <&9
}

mkfifo "$scratch/commands" "$scratch/answers"
"$program" <"$scratch/commands" >"$scratch/answers" &
target=$!
exec 8>"$scratch/commands" 9<"$scratch/answers"
address=
while read -r word name value <&9 && [ "$word" != ready ]; do
	[ "$name" != loop_work ] || address=$value
done
# What the lines name.
export pid="$target" address

sed -n '/^## From a shell$/,/^## /s/^\$ //p' "$readme" >"$scratch/lines"
ok "there are such lines" test "$(wc -l <"$scratch/lines")" -ge 8

# run LINE: in this shell, for what it sets.
run() {
	eval "$1" >>"$scratch/out"
}

while read -r line <&7; do
	: >"$scratch/out"
	ok "$line" run "$line"
	case $line in
	*AddBreakpoint*)
		ok "its path is told" \
			grep -q '^oa{sh}au "/org/bpcond1/session/[0-9]*/breakpoint/1" ' "$scratch/out"
		call 1000
		;;
	*"Session Hits Dropped")
		ok "every hit is counted" prints 't 10'
		ok "none is dropped" prints 't 0'
		;;
	*"Traps Evaluated"*)
		ok "so is every trap" test "$(cat "$scratch/out")" = "t 1000
t 1000
t 10
t 990"
		;;
	*ListSessions*)
		# shellcheck disable=SC2154 # a line has set it
		ok "the session is listed" grep -qF "\"$session\"" "$scratch/out"
		;;
	*CheckSpec*)
		ok "the report is one" grep -qF 'instructions' "$scratch/out"
		;;
	*introspect*Session*)
		ok "the arguments have names" grep -qF '<arg type="s" name="spec" direction="in"/>' \
			"$scratch/out"
		;;
	esac
done 7<"$scratch/lines"
ok "the session is gone" test "$(busctl call org.bpcond1 /org/bpcond1 org.bpcond1.Manager \
	ListSessions)" = 'a(ouuus) 0'
echo "1..$number"
exit "$failed"
