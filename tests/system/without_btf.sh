#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A kernel without BTF, on which nobody can tell from /proc which user namespace a process is in: an
# administrator decides about each session, for the program that runs then; and sessions outlive the daemon as
# on any other. The daemon is one that finds no types. Runs within in_systemd.sh.
#
# usage: without_btf.sh SOURCE BUILD
# shellcheck disable=SC2317,SC2154 # functions are called by name; variables are set in checks.sh
# shellcheck disable=SC2016 # $rdi is bpcond's
set -euo pipefail
readonly SOURCE=$1 BUILD=$2
# shellcheck source=tests/system/checks.sh
. "$SOURCE/tests/system/checks.sh"

readonly RULES=/etc/polkit-1/rules.d/10-test.rules

# allow USER: polkit says yes to him from now on.
allow() {
	cat >"$RULES.new" <<-RULE
		polkit.addRule(function(action, subject) {
		    if (action.id == "org.bpcond1.attach-other" && subject.user == "$1")
		        return polkit.Result.YES;
		});
	RULE
	chmod 644 "$RULES.new"
	mv "$RULES.new" "$RULES"
	systemctl restart polkit
}

# execute: has the target execute its program anew.
execute() {
	local line
	echo exec >&"$target_in"
	until read -r line <&"$target_out" && [[ $line == ready ]]; do :; done
}

n_sessions_are() {
	[[ $(busctl get-property "${MANAGER[@]}" Sessions) == "u $1" ]]
}

install_here
install -m 755 "$BUILD/tests/integration/bpcondd-without-btf" /run/bpcondd-without-btf
drop_in test $'ExecStart=\nExecStart=/run/bpcondd-without-btf\nRestartSec=1'
systemctl start bpcondd polkit
start_target "$USER_A"

as "$USER_A" bpcondctl status >"$scratch/status" 2>&1 || true
check "status says so" has '^  btf  *no$' "$scratch/status"
check "and what it means" has 'an administrator decides' "$scratch/status"
check "one's own process is not proven to be one's own" fails open_by "$USER_A"
open_by "$USER_A" >"$scratch/refused" 2>&1 || true
check "the text says what cannot be told" has 'own user namespace.*CONFIG_DEBUG_INFO_BTF' "$scratch/refused"
check "and what an administrator can allow" has 'org.bpcond1.attach-other' "$scratch/refused"

allow "$USER_A"
check "with polkit's yes a breakpoint is armed" start_break first "$USER_A" '$rdi == 5' --limit 2
target_call 100
check "the daemon is restarted" systemctl restart bpcondd
check "the session is there" within 10 n_sessions_are 1
target_call 100
check "its client ends with the second hit" wait "$break_pid"
check "each hit came, one before and one after" has '"hits":2,.*"lost":0' "$scratch/first.out"

check "a breakpoint is armed again" start_break second "$USER_A" '$rdi == 5'
execute
check "the session ends at exec" within 10 n_sessions_are 0
wait "$break_pid" || true
check "a third time" start_break third "$USER_A" '$rdi == 5'
systemctl kill --signal=KILL bpcondd
execute
check "a daemon comes up" within 10 systemctl is-active bpcondd
check "and finds that there was an exec" within 10 n_sessions_are 0
wait "$break_pid" || true

# What was asked about is not what runs when the answer comes.
kill -STOP "$(polkit_pid)"
(exec_as "$USER_A" busctl call "${MANAGER[@]}" OpenSessionByPid 'ua{sv}' "$target_pid" 0) \
	>"$scratch/opening" 2>&1 &
opening_pid=$!
sleep 1
execute
kill -CONT "$(polkit_pid)"
check "a yes for one program opens no other" fails wait "$opening_pid"
check "which says so" has 'has executed another program' "$scratch/opening"
check "the next call is asked about what runs" open_by "$USER_A"
stop_target
finish
