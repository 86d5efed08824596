#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Who may do what on a real system: the message bus's policy, and polkit's answers, its silence among
# them. Runs within in_systemd.sh.
#
# usage: policy.sh SOURCE BUILD
# shellcheck disable=SC2317,SC2154 # functions are called by name; variables are set in checks.sh
# shellcheck disable=SC2016 # $rdi is bpcond's
set -euo pipefail
readonly SOURCE=$1 BUILD=$2
# shellcheck source=tests/system/checks.sh
. "$SOURCE/tests/system/checks.sh"

readonly RULES=/etc/polkit-1/rules.d/10-test.rules

# rule ACTION USER ANSWER [CONDITION]: what polkit says from now on.
rule() {
	cat >"$RULES.new" <<-RULE
		polkit.addRule(function(action, subject) {
		    if (action.id == "$1" && subject.user == "$2" && ${4-true})
		        return polkit.Result.$3;
		});
	RULE
	chmod 644 "$RULES.new"
	mv "$RULES.new" "$RULES"
	systemctl restart polkit
}

no_rule() {
	rm -f "$RULES"
	systemctl restart polkit
}

# start_opening NAME USER ARGUMENTS...: OpenSessionByPid of the target, in the background.
start_opening() {
	(exec_as "$2" busctl "${@:3}" call "${MANAGER[@]}" OpenSessionByPid 'ua{sv}' "$target_pid" 0) \
		>"$scratch/$1" 2>&1 &
	opening_pid=$!
}

install_here
systemctl start bpcondd polkit

# -- the message bus
call_as_a() {
	as "$USER_A" busctl --timeout=5 "$@" >"$scratch/call" 2>&1
}
check "a member with a name may be called" call_as_a call "${MANAGER[@]}" ListSessions
check "properties may be read" call_as_a get-property "${MANAGER[@]}" Version
check "introspection is open" call_as_a introspect org.bpcond1 /org/bpcond1
check "a member without a name is refused" fails call_as_a call "${MANAGER[@]}" Shutdown
check "by the bus" has 'Access denied' "$scratch/call"
check "setting properties is refused" fails call_as_a set-property "${MANAGER[@]}" Version s x
check "by the bus too" has 'Access denied' "$scratch/call"
check "an interface without a name is refused" \
	fails call_as_a call org.bpcond1 /org/bpcond1 org.freedesktop.DBus.ObjectManager GetManagedObjects
systemctl stop bpcondd
check "another user cannot be org.bpcond1" fails call_as_a call org.freedesktop.DBus / \
	org.freedesktop.DBus RequestName su org.bpcond1 4
check "by the bus again" has 'Access denied' "$scratch/call"
check "root cannot either" fails busctl call org.freedesktop.DBus / org.freedesktop.DBus \
	RequestName su org.bpcond1 4
systemctl start bpcondd

# -- polkit: no, nobody to ask, yes
start_target "$USER_B"
check "one's own process needs nobody's leave" open_by "$USER_B"
before=$(descriptors)
check "another user's is refused" fails open_by "$USER_A"
open_by "$USER_A" >"$scratch/refused" 2>&1 || true
check "and the text names the rule" has "has the user ids $(id -u "$USER_B")/" "$scratch/refused"
check "and what an administrator can allow" has 'org.bpcond1.attach-other' "$scratch/refused"
check "with interaction, but without an agent, too" \
	fails open_by "$USER_A" --allow-interactive-authorization=yes
rule org.bpcond1.attach-other "$USER_A" NO
check "polkit's no is a no" fails open_by "$USER_A"
open_by "$USER_A" >"$scratch/refused" 2>&1 || true
check "which says so" has 'polkit has not allowed it either' "$scratch/refused"
rule org.bpcond1.attach-other "$USER_A" YES \
	"action.lookup('pid') == '$target_pid' && action.lookup('uid') == '$(id -u "$USER_B")'"
check "polkit's yes opens the session, by a rule about the process" open_by "$USER_A"
# Of the others one who can call: whom there is no group for, setpriv does not become.
check "another can call" as daemon busctl call "${MANAGER[@]}" ListSessions
check "of whom it was not said" fails open_by daemon
open_by daemon >"$scratch/refused" 2>&1 || true
check "by polkit" has 'polkit has not allowed it either\|org.bpcond1.attach-other' "$scratch/refused"
check "the journal has who was allowed it" within 5 bash -c "journalctl --quiet --no-pager \
	MESSAGE_ID=599ffd312ed84e59bafb90eb659aeac1 BPCOND_UID=$(id -u "$USER_A") BPCOND_PID=$target_pid |
	grep -q 'was allowed org.bpcond1.attach-other'"
check "a breakpoint in another user's process is armed" start_break allowed "$USER_A" '$rdi == 5' --limit 1
target_call 100
check "bpcondctl ends with the hit" wait "$break_pid"
check "the hit comes" has '"hits":1,' "$scratch/allowed.out"

# -- root: through polkit's yes
no_rule
check "root may, with polkit" open_by root
check "polkit's absence is no yes" bash -c 'systemctl mask --runtime --now polkit && ! busctl --timeout=30 call \
	org.bpcond1 /org/bpcond1 org.bpcond1.Manager OpenSessionByPid "ua{sv}" '"$target_pid"' 0'
systemctl unmask --runtime polkit

# -- org.bpcond1.manage: ending what is another's
# say_gone_by USER: to the service alone, what only the bus can know: that the session's owner is gone.
say_gone_by() {
	local owner
	owner=$(busctl --no-legend list | awk -v pid="$held_pid" '$1 ~ /^:/ && $2 == pid { print $1 }')
	[[ -n $owner ]] || return 1
	as "$1" busctl emit --destination=org.bpcond1 /org/freedesktop/DBus org.freedesktop.DBus \
		NameOwnerChanged sss "$owner" "$owner" ''
}
start_session() {
	# What the one before has said is not this one's.
	: >"$scratch/held.err"
	start_break held "$USER_B" ''
	held_pid=$break_pid
	held=$(busctl --json=short call "${MANAGER[@]}" ListSessions | grep -o '/org/bpcond1/session/[0-9]*')
}
close_by() {
	as "$1" busctl --timeout=10 call org.bpcond1 "$held" org.bpcond1.Session Close
}
remove_by() {
	as "$1" busctl --timeout=10 call org.bpcond1 "$held/breakpoint/1" org.bpcond1.Breakpoint Remove
}
systemctl start polkit
check "a session is there" start_session
check "another user cannot remove its breakpoint" fails remove_by "$USER_A"
check "nor close it" fails close_by "$USER_A"
close_by "$USER_A" >"$scratch/refused" 2>&1 || true
check "the text names the action" has 'org.bpcond1.manage' "$scratch/refused"
check "another user can say that its owner is gone" say_gone_by "$USER_A"
check "and is not believed" busctl get-property org.bpcond1 "$held" org.bpcond1.Session Uid
rule org.bpcond1.manage "$USER_A" YES \
	"action.lookup('object').indexOf('$held') == 0 && action.lookup('uid') == '$(id -u "$USER_B")'"
check "with polkit's yes the breakpoint can be removed" remove_by "$USER_A"
check "its owner is told" within 5 has 'summary' "$scratch/held.out"
check "another session is there" start_session
rule org.bpcond1.manage "$USER_A" YES \
	"action.lookup('object').indexOf('$held') == 0 && action.lookup('uid') == '$(id -u "$USER_B")'"
check "with polkit's yes it can be closed" close_by "$USER_A"
check "its owner is told of an administrator" within 5 has 'administrator' "$scratch/held.err"
no_rule
check "a session is there again" start_session
check "root can close it with polkit" close_by root
check "and again" start_session
systemctl mask --runtime --now polkit
check "and without" close_by root
systemctl unmask --runtime polkit
systemctl start polkit
wait "$held_pid" || true
check "nothing is left of all that" within 5 descriptors_are "$before"

# -- polkit that takes its time
kill -STOP "$(polkit_pid)"
start_opening slow "$USER_A"
check "who waits is not answered" bash -c "sleep 0.3; kill -0 $opening_pid"
check "others are served meanwhile" open_by "$USER_B" --timeout=2
kill -KILL "$opening_pid"
wait "$opening_pid" 2>/dev/null || true
check "who went while he waited leaves nothing behind" within 5 descriptors_are "$before"
kill -CONT "$(polkit_pid)"

rule org.bpcond1.attach-other "$USER_A" YES
kill -STOP "$(polkit_pid)"
start_opening exec "$USER_A"
sleep 0.3
echo exec >&"$target_in"
line=
until [[ $line == ready ]]; do read -r line <&"$target_out"; done
kill -CONT "$(polkit_pid)"
check "a yes is about the program that was asked for" fails wait "$opening_pid"
check "which says why" has 'has executed another program' "$scratch/exec"

kill -STOP "$(polkit_pid)"
for i in {1..20}; do
	start_opening "many$i" "$USER_A"
	many[i]=$opening_pid
done
# many_say N TEXT: whether N of them were answered with it.
many_say() {
	[[ $(cat "$scratch"/many* | grep -c -- "$2") -eq $1 ]]
}
check "one user's questions are limited: 16 of 20 wait" within 5 many_say 4 pending-questions
check "another user's are not affected" open_by "$USER_B" --timeout=2
stop_target
check "the end of the target ends the questions about it" within 5 many_say 16 'has exited while'
wait "${many[@]}" || true
kill -CONT "$(polkit_pid)"
check "and nothing is left of them" within 5 descriptors_are "$before"
check "the service has not failed meanwhile" test "$(systemctl show --property NRestarts --value bpcondd)" = 0

start_target "$USER_B"
kill -STOP "$(polkit_pid)"
start_opening leaving "$USER_A"
check "who waits while the daemon is restarted waits" bash -c "sleep 0.3; kill -0 $opening_pid"
systemctl restart bpcondd
check "until then" within 5 fails kill -0 "$opening_pid"
check "and is told to call again" has 'restarted while an administrator is asked: call again' "$scratch/leaving"
kill -CONT "$(polkit_pid)"
check "which he can" within 10 open_by "$USER_A"
stop_target
finish
