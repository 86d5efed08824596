#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What a user sees of bpcondd on this kernel: the daemon with its two capabilities, bpcondctl with the
# client library, and real processes that keep a tally of their own. Runs as an ordinary user below
# with-daemon. TAP on stdout.
#
# usage: check_daemon.sh BUILD
build=$1
targets=$build/tests/targets
scratch=$(mktemp -d)
number=0

# ok TEXT COMMAND...: one TAP line.
ok() {
	text=$1
	shift
	number=$((number + 1))
	if "$@" >"$scratch/ok" 2>&1; then
		echo "ok $number - $text"
	else
		echo "not ok $number - $text"
		sed 's/^/# /' "$scratch/ok" "$scratch/out" "$scratch/err" 2>/dev/null | tail -n 20
	fi
}

# status_is STATUS COMMAND...: what it says goes to out and err.
status_is() {
	wanted=$1
	shift
	status=0
	"$@" >"$scratch/out" 2>"$scratch/err" || status=$?
	echo "exit status $status"
	[ "$status" -eq "$wanted" ]
}

# The number of that name in the summary.
count() {
	sed -n 's/.*"summary":.*"'"$1"'":\([0-9]*\)[,}].*/\1/p' "$scratch/out"
}

counts_are() {
	for pair in "$@"; do
		found=$(count "${pair%=*}")
		echo "${pair%=*}: $found"
		[ "$found" = "${pair#*=}" ] || return 1
	done
}

says() {
	grep -q -- "$1" "$scratch/out" "$scratch/err"
}

feature() {
	[ "$(bpcondctl status | sed -n "s/^  $1  *//p")" = yes ]
}

# start TARGET: feeds it through a pipe; its answers are in $scratch/answers.
start() {
	mkfifo "$scratch/commands.$1"
	"$targets/$1" <"$scratch/commands.$1" >"$scratch/answers.$1" &
	pid=$!
	eval "exec $2>$scratch/commands.$1"
	wait_for "$scratch/answers.$1" ready
}

# wait_for FILE TEXT
wait_for() {
	tries=0
	until grep -q -- "$2" "$1" 2>/dev/null; do
		tries=$((tries + 1))
		[ $tries -lt 600 ] || return 1
		sleep 0.1
	done
}

# wait_for_lines NUMBER TEXT FILE
wait_for_lines() {
	tries=0
	until [ "$(grep -c -- "$2" "$3")" -ge "$1" ]; do
		tries=$((tries + 1))
		[ $tries -lt 600 ] || return 1
		sleep 0.1
	done
}

# arm COMMAND...: runs it in the background until it is armed.
arm() {
	: >"$scratch/err"
	# Not with our ends of the pipes: a target ends when the last of them is closed.
	"$@" >"$scratch/out" 2>"$scratch/err" 3>&- 4>&- 5>&- &
	tool=$!
	wait_for "$scratch/err" '^ready'
}

finish() {
	status=0
	wait "$tool" || status=$?
	echo "exit status $status"
	[ "$status" -eq 0 ]
}

ok "status answers" status_is 0 bpcondctl status
sed 's/^/# /' "$scratch/out"

check_sessions() {
	start stores 3
	ok "a watchpoint is set on a running process" \
		arm bpcondctl --json watch --length 4 -p "$pid" stores_pair \
		if '(int)value > 100'
	# One more, so that arm64, which looks before the access, has seen each of the 2000 as well.
	echo "store 2000" >&3
	echo "store 1" >&3
	ok "the target stores" wait_for_lines 2 above "$scratch/answers.stores"
	above=$(sed -n 's/^above //p' "$scratch/answers.stores" | sed -n 1p)
	last=$(sed -n 's/^above //p' "$scratch/answers.stores" | sed -n 2p)
	[ "$(uname -m)" = aarch64 ] || above=$((above + last))
	exec 3>&-
	ok "hits arrive until the target ends" finish
	ok "each store was judged, each hit is one of the target's own tally" \
		counts_are traps=2001 evaluated=2001 "hits=$above" "rejected=$((2001 - above))" lost=0
	ok "there are as many records" test "$(grep -c '"sequence"' "$scratch/out")" = "$above"

	start threads 4
	ok "a breakpoint is set on a process with threads" \
		arm bpcondctl --json break --stack=2 -p "$pid" threads_work
	echo "start 2" >&4
	ok "two more threads start" wait_for "$scratch/answers.threads" 'threads 6'
	echo "work 50" >&4
	ok "they work" wait_for "$scratch/answers.threads" 'calls 300'
	exec 4>&-
	ok "hits arrive until they end" finish
	ok "threads of before and those that started later: each call once" \
		counts_are traps=300 evaluated=300 hits=300 lost=0
	ok "from six threads" \
		test "$(sed -n 's/.*"tid":\([0-9]*\).*/\1/p' "$scratch/out" | sort -u | wc -l)" = 6

	start counter 5
	if feature kernel-accesses && feature btf; then
		ok "kernel accesses can be asked for" \
			status_is 1 bpcondctl watch --kernel-accesses --timeout 0.2 -p "$pid" counter
	else
		ok "kernel accesses are refused" \
			status_is 3 bpcondctl watch --kernel-accesses --timeout 0.2 -p "$pid" counter
		ok "and the reason is said" says kernel-accesses
	fi
	exec 5>&-
}

# Without the kernel's types: what design and documents say is refused, by that name.
check_refusals() {
	start loop 6
	ok "status says what is refused without BTF" status_is 0 bpcondctl status
	ok "by name" says 'No filter is lent'
	ok "kernel accesses are refused without BTF" \
		status_is 3 bpcondctl watch --kernel-accesses --timeout 0.2 -p "$pid" 0x1000
	ok "and the reason is said" says CONFIG_DEBUG_INFO_BTF
	exec 6>&-
	ok "a filter is not lent without BTF" status_is 2 "$build/examples/own-events"
	ok "and the reason is said" says CONFIG_DEBUG_INFO_BTF
	ok "a condition can be checked" status_is 0 bpcondctl check '1 == 2'
}

# kernel.perf_event_paranoid at 3, which allows perf events to root only.
check_paranoid() {
	start loop 3
	touch /tmp/forbid
	wait_for /proc/sys/kernel/perf_event_paranoid 3
	ok "status answers at paranoid 3" status_is 0 bpcondctl status
	ok "and says what it means" says 'kernel.perf_event_paranoid is 3'
	ok "a breakpoint is refused" \
		status_is 3 bpcondctl break --timeout 0.2 -p "$pid" loop_work
	ok "with the setting" says 'sysctl kernel.perf_event_paranoid=2'
	exec 3>&-
}

feature btf || check_refusals
check_sessions
check_paranoid
echo "1..$number"
rm -rf "$scratch"
