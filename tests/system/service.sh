#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The service as an administrator has it: installed, started, called, killed, stopped, removed. Runs
# within in_systemd.sh.
#
# usage: service.sh SOURCE BUILD
# shellcheck disable=SC2317,SC2154 # functions are called by name; variables are set in checks.sh
# shellcheck disable=SC2016 # $rdi is bpcond's
set -euo pipefail
readonly SOURCE=$1 BUILD=$2
# shellcheck source=tests/system/checks.sh
. "$SOURCE/tests/system/checks.sh"

# Everything of ours where something can be installed.
traces() {
	find /etc /opt /srv /usr /var -xdev \( -path "$SOURCE" -o -path "$BUILD" -o -path /var/tmp \) -prune \
		-o -iname '*bpcond*' -print | sort
}

hit_is_of_target() {
	has "\"pid\":$target_pid,\"tid\":$target_pid," "$1"
}

are_hits() {
	[[ $(hits_of "$2") == "$1" ]]
}

traces_before=$(traces)
check "meson install works" install_here
check "and can be seen" fails diff <(echo "$traces_before") <(traces)
check "the user of the service is there" getent passwd bpcondd
check "no rule of systemd's is broken by the unit" systemd-analyze verify /usr/lib/systemd/system/bpcondd.service

# -- start, stop, activation
check "systemctl start" systemctl start bpcondd
check "it is active" is_active
check "it runs as its own user" test "$(ps -o user= -p "$(main_pid)")" = bpcondd
check "it has two capabilities, in every set that it has any" bash -c "
	grep -Fx $'CapPrm:\t000000c000000000' /proc/$(main_pid)/status &&
	grep -Fx $'CapBnd:\t000000c000000000' /proc/$(main_pid)/status &&
	grep -Fx $'CapAmb:\t0000000000000000' /proc/$(main_pid)/status"
check "systemctl stop" systemctl stop bpcondd
check "it is gone" fails is_active
check "the first call of a user starts it" as "$USER_A" bpcondctl status
check "it is active again" is_active

# -- hits, in a pid namespace of its own
start_target "$USER_A"
check "an ordinary user's breakpoint is armed" start_break plain "$USER_A" '$rdi == 7'
target_call 1000
check "the hit comes, with the ids of this pid namespace" within 5 hit_is_of_target "$scratch/plain.out"
kill -INT "$break_pid"
check "bpcondctl ends well" wait "$break_pid"
check "one hit of a thousand" has '"evaluated":1000,"hits":1,' "$scratch/plain.out"
check "\$_tid and \$_pid are those of this namespace too" \
	start_break ids "$USER_A" "\$rdi == 7 && \$_tid == $target_pid && \$_pid == $target_pid"
target_call 10
kill -INT "$break_pid"
check "bpcondctl ends well again" wait "$break_pid"
check "the condition on them was true" has '"evaluated":10,"hits":1,' "$scratch/ids.out"

# -- without any program of ours
install -m 755 "$BUILD/tests/targets/loop" /run/loop
install -m 644 "$SOURCE/README.md" "$SOURCE/tests/integration/busctl_lines.sh" /run
check "the lines of README.md work under the shipped policy" \
	as "$USER_A" sh /run/busctl_lines.sh /run/README.md /run/loop

# -- the journal
check "the journal has the fields" within 5 journal_has \
	BPCOND_UID="$(id -u "$USER_A")" BPCOND_PID="$target_pid" BPCOND_SESSION=1 \
	MESSAGE_ID=7dc31ee2553e4372b8b04f311613eeb4
journalctl --no-pager --catalog --unit bpcondd >"$scratch/journal"
check "the catalog explains the opening of a session" \
	has "Subject: Session 1 on process $target_pid was opened" "$scratch/journal"
check "the catalog explains its end" \
	has "Subject: Session 1 on process $target_pid has ended" "$scratch/journal"
sed -n 's/.*"MESSAGE_ID=\(.*\)"/\1/p' "$SOURCE/daemon/log.h" | sort >"$scratch/logged"
sed -n 's/^-- //p' "$SOURCE/systemd/bpcond.catalog" | sort >"$scratch/explained"
check "every message id is in the catalog, and no other" cmp "$scratch/logged" "$scratch/explained"

# -- its end by force
pid=$(main_pid)
check "a breakpoint before SIGKILL" start_break killed "$USER_A" ''
kill -KILL "$pid"
check "after SIGKILL it is started again" within 10 restarted_from "$pid"
check "a user is served again" as "$USER_A" bpcondctl status
target_call 10
check "its client goes on and hears of the hits" within 5 are_hits 10 "$scratch/killed.out"
kill -INT "$break_pid"
check "and ends well" wait "$break_pid"
check "with all counts" has '"evaluated":10,"hits":10,' "$scratch/killed.out"

mkdir -p /run/systemd/system/bpcondd.service.d
printf '[Service]\nWatchdogSec=1s\n' >/run/systemd/system/bpcondd.service.d/watchdog.conf
systemctl daemon-reload
systemctl restart bpcondd
pid=$(main_pid)
sleep 1.6
check "the watchdog hears from it" test "$(main_pid)" = "$pid"
kill -STOP "$pid"
check "the watchdog ends it when it hangs" within 10 restarted_from "$pid"
check "the journal says why" within 5 journal_has --grep 'Watchdog timeout'

# -- its end in order
check "a breakpoint before the stop" start_break stopped "$USER_A" '$rdi == 3'
target_call 10
pid=$(main_pid)
check "systemctl stop with a session" systemctl stop bpcondd
check "bpcondctl ends by itself" within 5 fails kill -0 "$break_pid"
check "its user is told that bpcondd was stopped" has 'bpcondd was stopped' "$scratch/stopped.err"
check "the hit before is told, and the counts" has '"evaluated":10,"hits":1,' "$scratch/stopped.out"
check "its exit was clean" test "$(systemctl show --property Result --value bpcondd)" = success
target_call 10

# -- what cannot start
drop_in capabilities $'AmbientCapabilities=\nAmbientCapabilities=CAP_BPF'
check "it does not start with one capability" fails systemctl start bpcondd
check "and is not tried again and again" test "$(systemctl show --property NRestarts --value bpcondd)" = 0
check "the journal names what is missing" within 5 journal_has \
	--grep 'CAP_PERFMON missing' MESSAGE_ID=dc0501aaca0849aeab0736ca7dcb54c0
# cannot_reach COMMAND...: whether bpcondctl says so, and what to do.
cannot_reach() {
	local status=0
	as "$USER_A" bpcondctl "$@" >"$scratch/reach.out" 2>"$scratch/reach.err" || status=$?
	echo "exit status $status"
	cat "$scratch/reach.err"
	((status == 5)) && has 'systemctl status bpcondd' "$scratch/reach.err" &&
		has 'journalctl -u bpcondd' "$scratch/reach.err"
}
# The bus waits for what systemd could not start: 25 seconds, if nobody says otherwise.
printf '<busconfig><limit name="service_start_timeout">2000</limit></busconfig>\n' >/etc/dbus-1/system.d/impatient.conf
systemctl reload dbus
check "a daemon that cannot start is one that cannot be reached" \
	cannot_reach break --timeout 1 -p "$target_pid" "$target_address"
systemctl mask --runtime bpcondd
check "a masked one neither" cannot_reach status
check "nor for a breakpoint" cannot_reach break --timeout 1 -p "$target_pid" "$target_address"
systemctl unmask --runtime bpcondd
rm /etc/dbus-1/system.d/impatient.conf
systemctl reload dbus
no_drop_ins
systemctl reset-failed bpcondd
check "it starts when that is mended" as "$USER_A" bpcondctl status
stop_target

# -- exposure
score=$(systemd-analyze security --no-pager bpcondd | sed -n 's/.*Overall exposure level for bpcondd.service: \([0-9.]*\) .*/\1/p')
echo "# exposure: $score"
check "systemd-analyze security: $score, at most 1.0" \
	awk -v score="$score" 'BEGIN { exit !(score != "" && score <= 1.0) }'

# -- removal
systemctl stop bpcondd
check "ninja uninstall works" ninja -C "$BUILD" uninstall
systemctl daemon-reload
systemctl reload dbus
traces_after=$(traces)
check "nothing is left of it but the user" diff <(echo "$traces_before") <(echo "$traces_after")
check "nobody answers any more" fails busctl call "${MANAGER[@]}" ListSessions
finish
