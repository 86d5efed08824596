#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What `with-daemon` promises: COMMAND runs as an ordinary user with the daemon on the bus, its exit
# status comes back, and nothing is left. TAP on stdout.
#
# usage: with_daemon.sh WITH-DAEMON BUILD
# shellcheck disable=SC2317 # functions are called by name
set -eu
program=$1
build=$2
scratch=$(mktemp -d)
trap 'rm -rf -- "$scratch"' EXIT
chmod 777 "$scratch"
number=0
failed=0

if [ "$(id -u)" -ne 0 ]; then
	echo "1..0 # SKIP needs root; ./run test sees to it"
	exit 0
fi

# ok TEXT COMMAND...: one TAP line.
ok() {
	text=$1
	shift
	number=$((number + 1))
	if "$@"; then
		echo "ok $number - $text"
	else
		echo "not ok $number - $text"
		failed=1
	fi
}

# status_is STATUS ARGUMENTS...: with-daemon with them returns STATUS.
status_is() {
	wanted=$1
	shift
	status=0
	"$program" --build "$build" "$@" >"$scratch/out" 2>"$scratch/err" </dev/null || status=$?
	[ "$status" -eq "$wanted" ] && return 0
	cat "$scratch/err" >&2
	echo "status $status" >&2
	return 1
}

says() {
	grep -q -- "$1" "$scratch/out"
}

# The directory that the bus of the last run was in, from its address.
is_gone() {
	directory=$(sed -n 's/^unix:path=\(.*\)\/bus\/socket$/\1/p' "$scratch/out")
	[ -n "$directory" ] && [ ! -e "$directory" ]
}

no_process() {
	! kill -0 "$(cat "$scratch/pid")" 2>/dev/null
}

# terminated SIGNAL: with-daemon passes it on and ends as COMMAND does.
terminated() {
	"$program" --build "$build" sh -c \
		"echo \$\$ >$scratch/pid; echo \$BPCOND_DAEMON_PID >$scratch/daemon; exec sleep 60" \
		>/dev/null 2>"$scratch/err" </dev/null &
	pid=$!
	until [ -s "$scratch/daemon" ]; do
		kill -0 "$pid" || return 1
		sleep 0.05
	done
	kill "-$1" "$pid"
	status=0
	wait "$pid" || status=$?
	[ "$status" -gt 128 ] && no_process && [ ! -e "/proc/$(cat "$scratch/daemon")" ]
}

rm -f "$scratch/pid" "$scratch/daemon"
ok "a command's status comes back" status_is 7 sh -c 'exit 7'
ok "a signal's status comes back" status_is 137 sh -c 'kill -9 $$'
ok "a command that is not there" status_is 127 --user root /no/such/command
ok "a user who is not there" status_is 125 --user no-such-user true
# shellcheck disable=SC2016 # the command's variables
ok "the command runs" status_is 0 sh -c 'id -un; echo "$DBUS_SYSTEM_BUS_ADDRESS"'
ok "as an ordinary user" says '^bpcond-test-a$'
ok "on a bus that is gone afterwards" is_gone
ok "as another user" status_is 0 --user bpcond-test-b id -un
ok "if told so" says '^bpcond-test-b$'
ok "bpcondctl reaches the daemon" status_is 0 bpcondctl status
# shellcheck disable=SC2016
ok "what the command leaves running" status_is 0 sh -c \
	'sleep 60 & echo $! >'"$scratch/pid"
ok "is ended" no_process
rm -f "$scratch/pid"
ok "SIGTERM ends command, daemon and bus" terminated TERM
rm -f "$scratch/pid" "$scratch/daemon"
ok "SIGINT does, too" terminated INT
echo "1..$number"
exit "$failed"
