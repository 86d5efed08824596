#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What is true of a session must be true of it after the daemon, or the message bus, has been away: who has
# its ring, who hears of its hits, what its events cost, which limit it has reached. Runs within
# in_systemd.sh.
#
# usage: lingering.sh SOURCE BUILD
# shellcheck disable=SC2317,SC2154 # functions are called by name; variables are set in checks.sh
set -euo pipefail
readonly SOURCE=$1 BUILD=$2
# shellcheck source=tests/system/checks.sh
. "$SOURCE/tests/system/checks.sh"
readonly SETTINGS=/etc/bpcond/bpcondd.conf
bus=unix:path=/run/dbus/system_bus_socket

# start_holder SPEC: a holder of user A's. Sets holder_pid and number, that of its session.
start_holder() {
	local ends
	coproc HOLDER { DBUS_SYSTEM_BUS_ADDRESS=$bus exec_as "$USER_A" /run/holder "$target_pid" "$1" 2>"$scratch/holder.err"; }
	ends=("${HOLDER[@]}")
	# shellcheck disable=SC2153 # coproc sets it
	holder_pid=$HOLDER_PID
	exec {holder_in}>&"${ends[1]}" {holder_out}<&"${ends[0]}"
	eval "exec ${ends[0]}<&- ${ends[1]}>&-"
	read -r -t 20 _ number <&"$holder_out" || {
		cat "$scratch/holder.err"
		return 1
	}
}

# holder_says TEXT COMMAND...: what it answers has these words.
holder_says() {
	echo "${*:2}" >&"$holder_in"
	answer=
	read -r -t 20 answer <&"$holder_out" || true
	echo "$answer"
	[[ " $answer " == *[[:space:][:punct:]]"$1"[[:space:][:punct:]]* ]]
}

end_holder() {
	exec {holder_in}>&- {holder_out}<&-
	wait "$holder_pid" || true
}

# of_session PROPERTY, of_breakpoint PROPERTY, call_session METHOD: by another connection of the user's.
of_session() {
	as "$USER_A" busctl --address="$bus" get-property org.bpcond1 "/org/bpcond1/session/$number" org.bpcond1.Session "$1"
}
of_breakpoint() {
	as "$USER_A" busctl --address="$bus" get-property org.bpcond1 "/org/bpcond1/session/$number/breakpoint/1" \
		org.bpcond1.Breakpoint "$1"
}
call_session() {
	as "$USER_A" busctl --address="$bus" call org.bpcond1 "/org/bpcond1/session/$number" org.bpcond1.Session "$@"
}

# is VALUE COMMAND...: what COMMAND prints.
is() {
	local value
	value=$("${@:2}")
	[[ $value == "$1" ]] || {
		echo "$value, not $1"
		return 1
	}
}

# kill_daemon: and waits until another one serves.
kill_daemon() {
	local pid
	pid=$(main_pid)
	kill -KILL "$pid"
	within 10 restarted_from "$pid"
}

install_here
install -m 755 "$BUILD/tests/system/holder" /run/holder
systemctl start bpcondd
start_target "$USER_A"
plain='{"address": "'$target_address'"}'
limited='{"address": "'$target_address'", "limit": 5}'
with_events='{"address": "'$target_address'", "events": true}'

# -- who hears of hits
check "a session lingers, whose opener stays" start_holder "$plain"
target_call 3
check "the opener hears of hits" holder_says 'heard 3' hear 3
systemctl restart bpcondd
target_call 3
check "and after a restart" holder_says 'heard 6' hear 6
check "none counts as dropped" is 't 0' of_session Dropped
kill_daemon
target_call 3
check "and after SIGKILL" holder_says 'heard 9' hear 9
check "all are counted" is 't 9' of_session Hits

# -- what nobody was told, of ten a second
target_call 500
is_all_told() {
	holder_says heard hear 0 >/dev/null
	[[ $(of_session Dropped) == "t $((509 - ${answer#heard }))" ]]
}
check "of many hits some are told, and the rest is dropped" within 10 is_all_told
dropped=$(of_session Dropped)
check "which are most of them" test "${dropped#t }" -gt 400
kill_daemon
check "SIGKILL forgets none of those" is "$dropped" of_session Dropped
check "neither of the session nor of its breakpoint" is "$dropped" of_breakpoint Dropped

# -- the ring has one taker
check "its ring can be taken" holder_says ok take-hits
check "once" holder_says 'taken already' take-hits
systemctl restart bpcondd
check "and not again after a restart" holder_says 'taken already' take-hits
kill_daemon
check "nor after SIGKILL" holder_says 'taken already' take-hits
check "nor by another connection" fails call_session TakeHits
as "$USER_A" busctl call org.bpcond1 "/org/bpcond1/session/$number" org.bpcond1.Session TakeHits \
	>"$scratch/take" 2>&1 || true
check "which is told why" has 'has one reader: open another session' "$scratch/take"
check "it closes" call_session Close
end_holder

# -- a limit that is reached while nobody looks
check "a breakpoint with a limit" start_holder "$limited"
target_call 2
drop_in away RestartSec=2s
pid=$(main_pid)
kill -KILL "$pid"
within 5 fails is_active
target_call 100
check "while the daemon is away its limit is reached; it comes" within 10 restarted_from "$pid"
check "the daemon that comes disables it" within 5 is 'b false' of_breakpoint Enabled
check "its hits are as many" is 't 5' of_breakpoint Hits
check "the others are withheld" is 't 97' of_breakpoint Withheld
check "each trap was evaluated" is 't 102' of_breakpoint Traps
target_call 10
check "no trap is taken for it any more" is 't 102' of_breakpoint Traps
check "enabling it starts the counting anew" as "$USER_A" busctl call org.bpcond1 \
	"/org/bpcond1/session/$number/breakpoint/1" org.bpcond1.Breakpoint Enable
target_call 10
check "to the limit" within 5 is 't 10' of_breakpoint Hits
check "and it is disabled again" within 5 is 'b false' of_breakpoint Enabled
no_drop_ins
systemctl restart bpcondd
check "what was disabled stays so over a restart" is 'b false' of_breakpoint Enabled
check "it closes too" call_session Close
end_holder

# -- limits that are too much for many users
mkdir -p "${SETTINGS%/*}"
echo sessions=1000 >"$SETTINGS"
systemctl restart bpcondd
check "it is said when limits leave room for few users" within 5 bash -c "journalctl --quiet --no-pager \
	--unit bpcondd --grep '8192 sessions and lent filters can outlive a restart.* 7 users'"

# -- what was handed out stays charged
echo events=1 >"$SETTINGS"
systemctl restart bpcondd
check "a user who may have one event has one" start_holder "$with_events"
check "and takes it" holder_says 'events 1' take-events
check "no other" holder_says 'the quota "events"' add
systemctl restart bpcondd
check "removes the breakpoint after a restart" holder_says ok remove
check "which leaves the event with him, and it counts" holder_says 'kept of what was' add
check "he drops it" holder_says ok drop
check "and then he has another" within 5 holder_says ok add
check "that closes with its session" call_session Close
end_holder
rm "$SETTINGS"

# -- a restart of the message bus: of another one, since this test stands on the system's
bus=unix:path=/run/testbus
cat >/run/testbus.conf <<'CONF'
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <user>messagebus</user>
  <auth>EXTERNAL</auth>
  <listen>unix:path=/run/testbus</listen>
  <policy context="default">
    <allow user="*"/>
    <allow own="*"/>
    <allow send_type="method_call"/>
    <allow send_type="signal"/>
    <allow send_type="method_return"/>
    <allow send_type="error"/>
    <allow receive_type="method_call"/>
    <allow receive_type="signal"/>
    <allow receive_type="method_return"/>
    <allow receive_type="error"/>
  </policy>
</busconfig>
CONF
printf '[Socket]\nListenStream=/run/testbus\n' >/run/systemd/system/testbus.socket
printf '[Unit]\nRequires=testbus.socket\n[Service]\nType=notify\nExecStart=%s\n' \
	"$(command -v dbus-daemon) --config-file=/run/testbus.conf --address=systemd: --nofork --nopidfile" \
	>/run/systemd/system/testbus.service
program=$(systemctl show --property ExecStart --value bpcondd)
program=${program#*path=}
drop_in bus "ExecStart=
ExecStart=${program%% *} --bus $bus"
systemctl start testbus.socket
systemctl restart bpcondd
check "a session on another bus" start_holder "$plain"
target_call 10
pid=$(main_pid)
systemctl restart testbus
check "that bus is restarted, and the daemon with it" within 10 restarted_from "$pid"
target_call 10
check "the session is there, and counts" within 5 is 't 20' of_session Hits
check "its opener's connection has gone" fails holder_says ok take-hits
check "another takes its ring" call_session TakeHits
pid=$(main_pid)
systemctl restart testbus
check "the bus is restarted once more" within 10 restarted_from "$pid"
target_call 10
check "and the session is there once more" within 5 is 't 30' of_session Hits
check "with a ring that is taken" fails call_session TakeHits
systemctl reset-failed bpcondd
systemctl stop testbus.socket testbus
within 5 fails is_active
sleep 1
target_call 10
systemctl start testbus.socket
check "a bus that is away for longer comes back, and the daemon to it" within 10 is_active
check "the session has waited for it" within 5 is 't 40' of_session Hits
check "it can be closed" call_session Close
end_holder
no_drop_ins
stop_target
finish
