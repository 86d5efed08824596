# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034 # who sources this uses the variables
#
# For the tests within the box: TAP on stdout, what went wrong on stderr, and the programs under test.

readonly USER_A=bpcond-test-a USER_B=bpcond-test-b
readonly DROP_INS=/run/systemd/system/bpcondd.service.d
readonly MANAGER=(org.bpcond1 /org/bpcond1 org.bpcond1.Manager)
scratch=$(mktemp -d /tmp/checks-XXXXXX)
chmod 711 "$scratch"
n_checks=0
failed=0

# check TEXT COMMAND...: one line; COMMAND's output is shown when it fails.
check() {
	local text=$1
	shift
	n_checks=$((n_checks + 1))
	if "$@" >"$scratch/check.log" 2>&1; then
		echo "ok $n_checks - $text"
	else
		echo "not ok $n_checks - $text"
		printf '%s: %s\n' "$text" "${*@Q}" >&2
		cat "$scratch/check.log" >&2
		failed=1
	fi
}

# Whatever still runs would keep our output open.
trap 'kill $(jobs -p) 2>/dev/null || true' EXIT

finish() {
	((failed == 0)) || journalctl --no-pager --lines 80 >&2
	echo "1..$n_checks"
	exit "$failed"
}

# within SECONDS COMMAND...: whether COMMAND comes to succeed.
within() {
	local deadline=$((${EPOCHREALTIME/./} + $1 * 1000000))
	shift
	until "$@" >/dev/null 2>&1; do
		if ((${EPOCHREALTIME/./} > deadline)); then
			echo "not in time: ${*@Q}"
			"$@"
			return 1
		fi
		sleep 0.02
	done
}

has() {
	grep -q -- "$1" "$2" || {
		cat "$2"
		return 1
	}
}

fails() {
	! "$@"
}

as() {
	setpriv --reuid "$1" --regid "$1" --clear-groups -- "${@:2}"
}

# exec_as USER COMMAND...: becomes it. What a shell starts in the background ignores Ctrl-C otherwise.
exec_as() {
	exec setpriv --reuid "$1" --regid "$1" --clear-groups -- env --default-signal=INT "${@:2}"
}

main_pid() {
	systemctl show --property MainPID --value bpcondd
}

is_active() {
	[[ $(systemctl show --property ActiveState --value bpcondd) == active ]]
}

# restarted_from PID: whether another process serves by now.
restarted_from() {
	is_active && [[ $(main_pid) != "$1" && $(main_pid) != 0 ]]
}

polkit_pid() {
	systemctl show --property MainPID --value polkit
}

# journal_has MATCH...: whether the service wrote such a message.
journal_has() {
	[[ -n $(journalctl --quiet --no-pager --output=cat --unit bpcondd "$@") ]]
}

descriptors() {
	find "/proc/$(main_pid)/fd" -mindepth 1 | wc -l
}

# descriptors_are N: that many again, once what was under way is over.
descriptors_are() {
	local now
	now=$(descriptors)
	((now == $1)) || {
		ls -l "/proc/$(main_pid)/fd"
		echo "$now descriptors, not $1"
		return 1
	}
}

# drop_in NAME LINES: what an administrator writes for the unit's [Service].
drop_in() {
	mkdir -p "$DROP_INS"
	printf '[Service]\n%s\n' "$2" >"$DROP_INS/$1.conf"
	systemctl daemon-reload
}

no_drop_ins() {
	rm -rf "$DROP_INS"
	systemctl daemon-reload
}

# start_target USER: a loop program of USER's. Sets target_pid, target_in and target_out.
start_target() {
	local line ends
	# The build may lie where only root can go.
	install -m 755 "$BUILD/tests/targets/loop" /run/loop
	coproc TARGET { exec_as "$1" /run/loop; }
	# shellcheck disable=SC2153 # coproc sets it
	target_pid=$TARGET_PID
	ends=("${TARGET[@]}")
	exec {target_in}>&"${ends[1]}" {target_out}<&"${ends[0]}"
	# the shell's own, which would keep the target from seeing the end
	eval "exec ${ends[0]}<&- ${ends[1]}>&-"
	while read -r line <&"$target_out" && [[ $line != ready ]]; do
		[[ $line != "address loop_work "* ]] || target_address=${line##* }
	done
}

# target_call N: has it call its function N times.
target_call() {
	local line
	echo "call $1" >&"$target_in"
	read -r line <&"$target_out"
	[[ $line == "called $1" ]]
}

# start_break NAME USER CONDITION OPTION...: bpcondctl break of USER's on the target's function, its output
# in files. Sets break_pid.
start_break() {
	local condition=()
	[[ -z $3 ]] || condition=(if "$3")
	(exec_as "$2" bpcondctl break --json --timeout 60 "${@:4}" -p "$target_pid" "$target_address" \
		"${condition[@]}") >"$scratch/$1.out" 2>"$scratch/$1.err" &
	break_pid=$!
	within 10 has ready "$scratch/$1.err"
}

stop_target() {
	exec {target_in}>&- {target_out}<&-
	wait "$target_pid" 2>/dev/null || true
}

# open_by USER ARGUMENTS...: OpenSessionByPid of the target, by busctl with these arguments.
open_by() {
	as "$1" busctl "${@:2}" call "${MANAGER[@]}" OpenSessionByPid 'ua{sv}' "$target_pid" 0
}

# hits_of FILE: the tids in a JSON stream of hits.
hits_of() {
	grep -c '"sequence"' "$1"
}

# As an administrator does it, on a system that has not seen it before.
install_here() {
	userdel bpcondd 2>/dev/null || true
	local user
	for user in "$USER_A" "$USER_B"; do
		getent passwd "$user" >/dev/null ||
			useradd --system --user-group --no-create-home --shell /usr/sbin/nologin "$user"
	done
	(cd / && meson install --no-rebuild --quiet -C "$BUILD") >"$scratch/install.log" 2>&1 || {
		cat "$scratch/install.log" >&2
		return 1
	}
}
