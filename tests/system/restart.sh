#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# No session is lost: the daemon is restarted, killed, hung, stopped, replaced by one of another version,
# and finds rubbish in its descriptor store, while a hundred sessions and some lent filters stream hits.
# Runs within in_systemd.sh.
#
# usage: restart.sh SOURCE BUILD
# shellcheck disable=SC2317,SC2154 # functions are called by name; variables are set in checks.sh
# shellcheck disable=SC2016 # $rdi is bpcond's
set -euo pipefail
readonly SOURCE=$1 BUILD=$2
# shellcheck source=tests/system/checks.sh
. "$SOURCE/tests/system/checks.sh"

# Answers of a streams program: ask NAME COMMAND..., which leaves the line in $answer.
declare -A stream_in stream_out stream_pid

# start_streams NAME USER SESSIONS LENT
start_streams() {
	local ends line
	coproc STREAMS {
		exec_as "$2" env LD_LIBRARY_PATH=/usr/local/lib /run/streams "$3" "$4" 2>"$scratch/$1.err"
	}
	ends=("${STREAMS[@]}")
	# shellcheck disable=SC2153 # coproc sets it
	stream_pid[$1]=$STREAMS_PID
	exec {stream_in_fd}>&"${ends[1]}" {stream_out_fd}<&"${ends[0]}"
	eval "exec ${ends[0]}<&- ${ends[1]}>&-"
	stream_in[$1]=$stream_in_fd
	stream_out[$1]=$stream_out_fd
	read -r -t 60 line <&"${stream_out[$1]}" || {
		cat "$scratch/$1.err"
		return 1
	}
	[[ $line == ready ]]
}

tell() {
	echo "${*:2}" >&"${stream_in[$1]}"
}

hear() {
	answer=
	read -r -t 60 answer <&"${stream_out[$1]}" || {
		cat "$scratch/$1.err"
		return 1
	}
	echo "$answer"
}

ask() {
	tell "$@"
	hear "$1"
}

end_streams() {
	eval "exec ${stream_in[$1]}>&- ${stream_out[$1]}<&-"
	wait "${stream_pid[$1]}"
}

# exact NAME: every hit was counted and read, every trap evaluated, nothing dropped, nothing ended.
exact() {
	local calls hits records
	ask "$1" tally
	read -r _ _ _ calls _ hits _ records _ <<<"$answer"
	[[ $answer == *" lost 0 dropped 0 wrong 0 ended 0" ]] &&
		((records == hits || $# > 1)) && ((calls > 0 && hits > 0))
}

# calls_went NAME: what `calls` says when all were answered.
calls_went() {
	hear "$1"
	longest=${answer#*longest }
	longest=${longest% us}
	[[ $answer == *" failed 0 "* ]]
}

n_sessions() {
	busctl --json=short call "${MANAGER[@]}" ListSessions | grep -o 'session/[0-9]*' | wc -l
}

session_paths() {
	busctl --json=short call "${MANAGER[@]}" ListSessions | grep -o 'session/[0-9]*' | sort
}

are() {
	local n
	n=$("${@:2}")
	((n == $1)) || {
		echo "$n, not $1"
		return 1
	}
}

at_most() {
	local n
	n=$("${@:2}")
	((n <= $1)) || {
		echo "$n, more than $1"
		return 1
	}
}

lines() {
	wc -l <"$1"
}

# sequences_are N FILE: the lines' sequence numbers are 0 to N-1.
sequences_are() {
	diff <(sed -n 's/.*"sequence":\([0-9]*\),.*"stack":\[\]}$/\1/p' "$2") <(seq 0 $(($1 - 1)))
}

dropped_are() {
	[[ $(as "$USER_A" busctl get-property org.bpcond1 "/org/bpcond1/$2" org.bpcond1.Session Dropped) == "t $1" ]]
}

held() {
	systemctl show --property NFileDescriptorStore --value bpcondd
}

install_here
install -m 755 "$BUILD/tests/system/streams" /run/streams
install -m 755 "$BUILD/tests/system/forwarder" /run/forwarder
install -m 755 "$BUILD/tests/system/bpcondd-other-state" /run/bpcondd-other-state
systemctl start bpcondd

# -- a hundred sessions, and filters that are lent
check "fifty sessions of one user, with three lent filters" start_streams a "$USER_A" 50 3
check "fifty of another" start_streams b "$USER_B" 50 3
check "they are a hundred" are 100 n_sessions
check "systemd holds one descriptor of each, the numbers and one that is free" within 5 at_most 108 held
session_paths >"$scratch/before"

pid=$(main_pid)
tell a calls 1500
tell b calls 1500
check "systemctl restart" systemctl restart bpcondd
check "another process serves" restarted_from "$pid"
check "no call was lost over the restart" calls_went a
echo "# restart with 100 sessions and streaming hits: the longest call took $((longest / 1000)) ms"
check "none of the other user's" calls_went b
check "every hit was counted and heard" exact a
check "every hit of the other user's" exact b
check "the sessions have their paths" diff "$scratch/before" <(session_paths)
check "systemd still holds what it held" at_most 108 held

pid=$(main_pid)
before=${EPOCHREALTIME/./}
kill -KILL "$pid"
within 5 test ! -e "/proc/$pid"
check "after SIGKILL calls are answered again" as "$USER_A" bpcondctl status
echo "# after SIGKILL: calls are answered after $(((${EPOCHREALTIME/./} - before) / 1000)) ms, RestartSec=250ms of it"
check "by another process" within 10 restarted_from "$pid"
check "the clients' objects go on" ask a calls 50
check "all of them" test "${answer#* failed 0 }" '!=' "$answer"
check "every hit was counted and heard, over SIGKILL" exact a
check "the other user's too, over SIGKILL" exact b

drop_in watchdog WatchdogSec=4s
systemctl restart bpcondd
pid=$(main_pid)
kill -STOP "$pid"
check "the watchdog ends it when it hangs" within 20 restarted_from "$pid"
check "a hundred sessions again" are 100 n_sessions
check "every hit was counted and heard, over the watchdog" exact a
check "the other user's too, over the watchdog" exact b
no_drop_ins

check "breakpoints can be removed and added in what was taken up" ask a swap
check "by the other user too" ask b swap
pid=$(main_pid)
kill -STOP "$pid"
{
	sleep 0.5
	kill -KILL "$pid"
} &
check "a removal that the daemon's end cuts off is the next daemon's to make" ask a swap
wait "$!"
check "which is another process" restarted_from "$pid"
kill -KILL "$(main_pid)"
check "and outlive another SIGKILL" within 10 are 100 n_sessions
check "to the last hit" exact a more
check "of both users" exact b more

ask a numbers >/dev/null
first=${answer#highest }
check "streams end" end_streams a
check "and their sessions with them" within 5 are 50 n_sessions
kill -KILL "$(main_pid)"
check "what had ended stays so" within 10 are 50 n_sessions
start_target "$USER_A"
start_break numbers "$USER_A" '$rdi == 3'
second=$(session_paths | sort -t / -k 2 -n | tail -1)
ask b numbers >/dev/null
highest=${answer#highest }
((first > highest)) || first=$highest
check "no number is used twice (session $first, then ${second#session/})" \
	test "${second#session/}" -gt "$first"

# -- what ends while the daemon is away
drop_in away RestartSec=2s
kill -KILL "$(main_pid)"
within 5 fails is_active
kill -KILL "$break_pid"
wait "$break_pid" 2>/dev/null || true
check "whose client went while it was away is ended" within 10 journal_has \
	BPCOND_SESSION="${second#session/}" --grep 'ended: client-gone'
check "and nothing else" are 50 n_sessions

start_break exec "$USER_A" '$rdi == 3'
target_call 10
kill -KILL "$(main_pid)"
within 5 fails is_active
target_call 10
echo exec >&"$target_in"
line=
until [[ $line == ready ]]; do
	read -r line <&"$target_out"
	[[ $line != "address loop_work "* ]] || target_address=${line##* }
done
check "who has executed another program while it was away" within 10 fails kill -0 "$break_pid"
check "is ended for that" within 5 journal_has BPCOND_PID="$target_pid" --grep 'ended: target-exec'
check "with the hits of before" are 2 hits_of "$scratch/exec.out"
check "and the counts" has '"traps":20,"evaluated":20,"hits":2,' "$scratch/exec.out"

start_break exit "$USER_A" '$rdi == 3'
kill -KILL "$(main_pid)"
within 5 fails is_active
target_call 10
stop_target
check "who has exited while it was away" within 10 fails kill -0 "$break_pid"
check "is ended for that too" within 5 journal_has BPCOND_PID="$target_pid" --grep 'ended: target-exited'
check "with the last hit and the counts" has '"traps":10,"evaluated":10,"hits":1,' "$scratch/exit.out"
no_drop_ins

# -- hits that the daemon itself reads
start_target "$USER_A"
spec='{"address": "'$target_address'", "condition": {"==": [{"%": [{"reg": "rdi"}, 10]}, 3]}}'
mkfifo "$scratch/sink" "$scratch/until"
(exec_as "$USER_A" /run/forwarder "$target_pid" "$spec") >"$scratch/sink" 2>"$scratch/forwarder.err" \
	<>"$scratch/until" &
forwarder_pid=$!
# A reader that is slow to begin with: the pipe fills, and some hits stay in the daemon's hands.
exec {sink_fd}<"$scratch/sink"
check "hits are forwarded" within 10 has ready "$scratch/forwarder.err"
target_call 5000
systemctl restart bpcondd
target_call 100
cat <&"$sink_fd" >"$scratch/forwarded" &
cat_pid=$!
target_call 100
systemctl restart bpcondd
target_call 100
check "over two restarts all of them come" within 10 are 530 lines "$scratch/forwarded"
check "each once and whole" sequences_are 530 "$scratch/forwarded"
forwarded=$(session_paths | sort -t / -k 2 -n | tail -1)
check "none counts as dropped" dropped_are 0 "$forwarded"

# A client that holds the lock of its pipe: the process that writes into it hangs, and nothing else does.
relay_hangs() {
	[[ $(ps -C bpcondd-pipe -o stat=) == D* ]]
}
mkfifo "$scratch/hold"
"$BUILD/tests/targets/pipe_holder" "$scratch/held" <>"$scratch/hold" >"$scratch/sink" &
holder_pid=$!
check "a client holds its pipe in the kernel" within 10 has held "$scratch/held"
target_call 100
check "what writes into it hangs" within 10 relay_hangs
pid=$(main_pid)
before=${EPOCHREALTIME/./}
check "a restart does not wait for it" systemctl restart bpcondd
echo "# restart with a pipe that is held: $(((${EPOCHREALTIME/./} - before) / 1000)) ms"
check "nor the next daemon" restarted_from "$pid"
check "nothing was killed for it" fails journal_has --grep 'timed out|SIGKILL'
check "it hangs as before" relay_hangs
target_call 100
echo release >"$scratch/hold"
wait "$holder_pid"
check "then all hits come" within 10 are 550 lines "$scratch/forwarded"
check "each once and whole, over three restarts" sequences_are 550 "$scratch/forwarded"
check "and none counts as dropped" dropped_are 0 "$forwarded"

kill -KILL "$(main_pid)"
check "of what was in hand when the daemon was killed nobody knows: that session is closed" \
	within 10 journal_has BPCOND_SESSION="${forwarded#session/}" --grep 'forwarded when bpcondd was killed'
check "and its sink with it" within 5 fails kill -0 "$cat_pid"
kill "$forwarder_pid"
wait "$forwarder_pid" 2>/dev/null || true

# A target that has exited by the time the next daemon comes, and a reader that is behind.
(exec_as "$USER_A" /run/forwarder "$target_pid" "{\"address\": \"$target_address\"}") >"$scratch/sink" \
	2>"$scratch/forwarder.err" <>"$scratch/until" &
forwarder_pid=$!
exec {sink_fd}<"$scratch/sink"
check "hits are forwarded again" within 10 has ready "$scratch/forwarder.err"
drop_in late 'ExecStartPre=/bin/sleep 1'
pid=$(main_pid)
systemctl restart bpcondd &
restart_pid=$!
within 5 test ! -e "/proc/$pid"
target_call 1500
stop_target
check "a target hits and exits while the daemon is being restarted" wait "$restart_pid"
cat <&"$sink_fd" >"$scratch/last" &
cat_pid=$!
check "its hits come, to a reader that was behind" within 10 are 1500 lines "$scratch/last"
check "then they end" within 5 fails kill -0 "$cat_pid"
check "and so does the session" within 5 journal_has BPCOND_PID="$target_pid" --grep 'ended: target-exited'
no_drop_ins
kill "$forwarder_pid"
wait "$forwarder_pid" 2>/dev/null || true
start_target "$USER_A"
spec='{"address": "'$target_address'", "condition": {"==": [{"%": [{"reg": "rdi"}, 10]}, 3]}}'

# -- sessions that linger
open_lingering() {
	lingering=$(as "$USER_A" busctl --json=short call "${MANAGER[@]}" OpenSessionByPid 'ua{sv}' "$target_pid" \
		1 linger b true | grep -o 'session/[0-9]*')
	as "$USER_A" busctl call org.bpcond1 "/org/bpcond1/$lingering" org.bpcond1.Session AddBreakpoint s "$spec"
}
hits_are() {
	[[ $(as "$USER_A" busctl get-property org.bpcond1 "/org/bpcond1/$lingering" org.bpcond1.Session Hits) == "t $1" ]]
}
check "a session lingers" open_lingering
target_call 100
kill -KILL "$(main_pid)"
target_call 100
check "over SIGKILL" within 10 hits_are 20
systemctl restart bpcondd
target_call 100
check "and a restart" hits_are 30
check "it can be closed" as "$USER_A" busctl call org.bpcond1 "/org/bpcond1/$lingering" org.bpcond1.Session Close
check "and is gone" are 50 n_sessions
stop_target
eval "exec ${stream_in[b]}>&- ${stream_out[b]}<&-"
wait "${stream_pid[b]}" || true
check "streams of that user again" start_streams b "$USER_B" 20 3

# -- what is not ours, or not whole
cat >/run/rubbish.py <<'EOF'
# Stands where the daemon does, and puts into its store what it would never put there: of each box a
# copy with its last descriptor cut off, or something else altogether.
import array, os, signal, socket

def notify(text, *fds):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    path = os.environ["NOTIFY_SOCKET"]
    s.connect("\0" + path[1:] if path[0] == "@" else path)
    s.sendmsg([text.encode()], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else [])

def new_box():
    box = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    box.bind("")
    box.connect(box.getsockname())
    return box

names = os.environ["LISTEN_FDNAMES"].split(":")
boxes = [(n, 3 + i) for i, n in enumerate(names) if n != "numbers"]
spoilt = 0
for name, fd in boxes:
    box = socket.socket(fileno=fd)
    box.setblocking(False)
    try:
        data, control, _, _ = box.recvmsg(4096, 4096)
    except BlockingIOError:
        continue
    fds = array.array("i")
    for _, _, payload in control:
        fds.frombytes(payload[:len(payload) - len(payload) % 4])
    kind = spoilt % 4
    spoilt += 1
    if kind == 0:    # the descriptors in another order
        fds = array.array("i", reversed(fds))
    elif kind == 1:  # without the state
        fds = fds[1:]
    elif kind == 2:  # another label
        data = b"rubbish" + data[7:]
    else:            # cut off
        data = data[:5]
    box.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)])
null, another = os.open("/dev/null", os.O_RDONLY), os.open("/dev/null", os.O_RDONLY)
free = new_box()
listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
listener.bind("")
listening = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
listening.connect(listener.getsockname())
for name, fd in (("foreign", null), ("bffff", another), ("b0", free.fileno()), ("b1fff", listening.fileno())):
    notify("FDSTORE=1\nFDNAME=%s\nFDPOLL=0" % name, fd)
stray = new_box()
stray.sendmsg([b"x" * 100], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0, 1, 2]))])
notify("FDSTORE=1\nFDNAME=b77777\nFDPOLL=0", stray.fileno())
notify("READY=1\nSTATUS=spoilt %d" % spoilt)
signal.pause()
EOF
drop_in rubbish "ExecStart=
ExecStart=/usr/bin/python3 /run/rubbish.py
BusName=
Type=notify"
check "something else spoils the store" systemctl restart bpcondd
no_drop_ins
check "the daemon starts all the same" systemctl restart bpcondd
check "nothing of it is taken up" are 0 n_sessions
check "each is said to be lost" within 5 journal_has --grep 'cannot be taken up, and is closed'
for name in foreign bffff b1fff; do
	check "and what was never ours ($name)" within 5 journal_has --grep "\"$name\" in the descriptor store is not"
done
check "nothing of it stays in the store, but a box that is free" within 5 are 2 held
check "the clients hear of it" within 5 has 'lost' "$scratch/b.err"
eval "exec ${stream_in[b]}>&- ${stream_out[b]}<&-"
wait "${stream_pid[b]}" || true
check "bpcondd has not failed over it" are 0 systemctl show --property NRestarts --value bpcondd

# -- another's
cat >/run/forge.py <<'EOF'
# Stands where the daemon does, and says of the session with the highest number that it is another user's.
import array, fcntl, mmap, os, re, signal, socket, struct, sys

def sealed(data):
    fd = os.memfd_create("bpcond-state", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.write(fd, data)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE)
    return fd

def take_out(box):
    messages = []
    while True:
        try:
            data, control, _, _ = box.recvmsg(4096, 4096)
        except BlockingIOError:
            return messages
        fds = array.array("i")
        for _, _, payload in control:
            fds.frombytes(payload[:len(payload) - len(payload) % 4])
        messages.append((data, fds))

def forge(fd, uid):
    try:
        record = bytearray(os.pread(fd, 1 << 20, 0))
    except OSError:
        return fd
    # an owner: his user id, his process, the bus's id, his name there
    owner = re.search(rb"[0-9a-f]{32}\0:[0-9.]+", record)
    if record[:8] != b"bpcondst" or not owner:
        return fd
    struct.pack_into("I", record, owner.start() - 8, uid)
    return sealed(record)

boxes = {}
for i, name in enumerate(os.environ["LISTEN_FDNAMES"].split(":")):
    if name == "numbers":
        continue
    box = socket.socket(fileno=3 + i)
    box.setblocking(False)
    messages = take_out(box)
    if messages:
        boxes[struct.unpack_from("I", messages[0][0], 16)[0]] = box, messages
for number, (box, messages) in boxes.items():
    for data, fds in messages:
        if number == max(boxes):
            fds = array.array("i", (forge(fd, int(sys.argv[1])) for fd in fds))
        box.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)])
message = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
path = os.environ["NOTIFY_SOCKET"]
message.sendto(b"READY=1", "\0" + path[1:] if path[0] == "@" else path)
signal.pause()
EOF
check "three streams of one user" start_streams e "$USER_A" 3 0
third=$(session_paths | sort -t / -k 2 -n | tail -1)
drop_in forge "ExecStart=
ExecStart=/usr/bin/python3 /run/forge.py $(id -u "$USER_B")"
check "something else says that one is another user's" systemctl restart bpcondd
no_drop_ins
check "the daemon starts" systemctl restart bpcondd
check "and takes up the other two" within 5 journal_has --grep 'took up 2 sessions and 0 lent filters'
check "that one is nobody's" within 5 journal_has BPCOND_SESSION="${third#session/}" --grep 'ended: client-gone'
check "the client hears of it" within 5 has 'the session was closed' "$scratch/e.err"
end_streams e || true

# -- another version
check "streams again" start_streams c "$USER_A" 8 3
check "they go" ask c calls 200
check "they are exact" exact c
drop_in version "ExecStart=
ExecStart=/run/bpcondd-other-state"
check "a daemon of another version starts" systemctl restart bpcondd
check "it ends what it cannot read" are 0 n_sessions
check "and says why" within 5 journal_has --grep 'left by a bpcondd of another version'
check "it calls lent filters back: no hit of a thousand calls" ask c quiet 1000
check "none" test "$answer" = 'hits 0'
check "its clients hear of it" within 5 has 'bpcondd' "$scratch/c.err"
check "nothing stays in the store, but a box that is free" within 5 are 2 held
end_streams c || true
no_drop_ins
systemctl restart bpcondd

# -- stop
check "streams once more" start_streams d "$USER_A" 8 3
check "they go, once more" ask d calls 200
check "they are exact, once more" exact d
check "systemctl stop" systemctl stop bpcondd
check "calls lent filters back: no hit of a thousand calls" ask d quiet 1000
check "none at all" test "$answer" = 'hits 0'
check "sessions are told that it was stopped" within 5 has 'bpcondd was stopped' "$scratch/d.err"
check "borrowers that their filters were called back" within 5 has 'called the filter back' "$scratch/d.err"
check "nobody has started it again" fails is_active
check "systemd holds nothing" are 0 held
end_streams d || true
finish
