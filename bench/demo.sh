#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What ./run demo shows, run as an ordinary user on a private bus with the daemon on it: a conditional
# breakpoint in Debian's own python3, unmodified and at work, and what a rejected trap costs.
#
# Exit status: 0 when everything that it promises to show was seen.
set -euo pipefail

SECONDS_TO_WATCH=5
PROGRAM='n = 0
for i in range(10 ** 9):
    n += len(str(i))'
# str(i) is PyObject_Str(object), and an int object has its value at offset 24.
FUNCTION=PyObject_Str
# shellcheck disable=SC2016 # registers, not variables
VALUE='$rdi + 24'
CONDITION="*(int *)($VALUE) % 40000 == 0"

bold='' green='' red='' plain=''
if [[ -t 1 ]]; then
	bold=$'\e[1m' green=$'\e[32m' red=$'\e[31m' plain=$'\e[0m'
fi

heading() {
	printf '\n%s%s%s\n' "$bold" "$*" "$plain"
}

show() {
	printf '  $ %s\n' "$*"
}

fail() {
	printf '\n%sdemo failed:%s %s\n' "$red" "$plain" "$*" >&2
	exit 1
}

# count KEY: a number of the only breakpoint there is.
count() {
	bpcondctl list --json | sed -n "s/.*\"counts\":{[^}]*\"$1\":\([0-9]*\).*/\1/p"
}

who_is_who() {
	local daemon=/proc/$BPCOND_DAEMON_PID capabilities
	capabilities=$(sed -n 's/^CapEff:\t*//p' "$daemon/status")
	heading "Who is who"
	printf '  you       %s, an ordinary user without any capability\n' "$(id -un)"
	printf '  bpcondd   %s, with capabilities %s: CAP_BPF and CAP_PERFMON\n' \
		"$(stat -c %U "$daemon")" "$capabilities"
	((16#$capabilities == (1 << 38 | 1 << 39))) || fail "these are not the two capabilities"
}

# Prints the evaluations while they count up.
watch_counts() {
	local i before=-1 now seen=0
	for ((i = 0; i < SECONDS_TO_WATCH - 1; i++)); do
		sleep 1
		now=$(count evaluated)
		# not there yet, or no more
		[[ -n $now ]] || continue
		printf '  %10d calls judged in the kernel, %d of them hits\n' "$now" "$(count hits)"
		((now > before)) || fail "the evaluations do not count up"
		before=$now
		seen=$((seen + 1))
	done
	((seen >= 2)) || fail "the evaluations were not there to be seen"
}

break_into_python() {
	local python hits watcher=0 status=0
	heading "A conditional breakpoint in a program of Debian's, unmodified, at work"
	/usr/bin/python3 -c "$PROGRAM" &
	python=$!
	printf '  %s, process %d, %s:\n' "$(readlink -f /usr/bin/python3)" "$python" \
		"version $(dpkg-query --show --showformat='${Version}' python3-minimal)"
	printf '%s\n' "$PROGRAM" | sed 's/^/      /'
	sleep 0.3

	printf '\n'
	show "bpcondctl break --regs rip,rdi --mem '$VALUE:4' --timeout $SECONDS_TO_WATCH -p $python \\"
	printf "        %s if '%s'\n\n" "$FUNCTION" "$CONDITION"
	hits=$(mktemp)
	if [[ ! -t 2 ]]; then
		watch_counts &
		watcher=$!
	fi
	bpcondctl break --regs rip,rdi --mem "$VALUE:4" --timeout "$SECONDS_TO_WATCH" \
		-p "$python" "$FUNCTION" if "$CONDITION" >"$hits" || status=$?
	((watcher == 0)) || wait "$watcher" || fail "the counts could not be followed"
	printf '\n'
	head -n 12 "$hits" | sed 's/^/  /'
	kill "$python"
	wait "$python" 2>/dev/null || true
	((status == 0)) || fail "no hit within $SECONDS_TO_WATCH seconds"
	grep -qi 'rdi' "$hits" || fail "the hits have no registers"
	rm -f "$hits"
}

compare_costs() {
	heading "What a trap costs whose condition is false, on one loop"
	"$BPCOND_BUILD_DIR/bench/bench" --quick | sed 's/^/  /'
	printf '  (./run bench: more rounds, and gdb, gdbserver and lldb beside it)\n'
}

who_is_who
break_into_python
compare_costs
printf '\n%sdemo: all of it was seen.%s\n' "$green" "$plain"
