#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What holds for every source file: which layer may use which library, and that each file says its
# licence. TAP on stdout.
set -eu
cd -- "$1"

number=0
failed=0

# check TEXT OFFENDERS: one TAP line; OFFENDERS is empty when all is well.
check() {
	number=$((number + 1))
	if [ -z "$2" ]; then
		echo "ok $number - $1"
		return
	fi
	failed=1
	echo "not ok $number - $1"
	printf '%s:\n%s\n' "$1" "$2" >&2
}

sources() {
	find bench bpf client condition daemon examples include json kernel tests tools \
		-name '*.[ch]' -type f | sort
}

# users PATTERN: the files of the product that have a line like it.
users() {
	sources | grep -Ev '^(tests|bench|examples)/' | xargs -r grep -lE -- "$1" || true
}

# but_for PATTERN: of the names on stdin those that are not like it.
but_for() {
	grep -Ev -- "$1" || true
}

check "json-c only where JSON is read or written" "$(users 'include <json-c/' |
	but_for '^(json/|condition/condition_json|daemon/(spec|check_spec|forward)|client/(request|spec_json|text_json)|tools/)')"
check "sd-bus only at the bus" "$(users 'include <systemd/sd-bus' |
	but_for '^(daemon/bus|daemon/polkit|client/(internal|connection|reply)|tools/bus)')"
check "libbpf only where programs and maps are held" "$(users 'include <bpf/(bpf|libbpf|btf)\.h' |
	but_for '^(daemon/bpf_|daemon/bpcondd\.c|client/(maps|hit_reader)|kernel/)')"
check "perf_event_open in one place of the daemon" "$(users 'SYS_perf_event_open' |
	but_for '^(daemon/bpf_attach\.c|kernel/)')"
check "libdw only behind the symbols" "$(users 'include <(elfutils|dwarf|gelf|libelf)' |
	but_for '^client/symbols')"
check "conditions do no I/O and know no kernel" "$(grep -lE \
	'include <(unistd|fcntl|bpf/|systemd/|sys/ioctl|sys/syscall)' condition/*.[ch] || true)"
check "layers include downwards" "$(
	grep -lE 'include "(daemon|client|tools)/' json/*.[ch] condition/*.[ch] bpf/*.[ch] || true
	grep -lE 'include "(daemon|client|tools|condition|json|bpf)/' kernel/*.[ch] || true
	grep -lE 'include "(daemon|tools)/' client/*.[ch] || true
	grep -lE 'include "(client|tools)/' daemon/*.[ch] | but_for '^daemon/forward' || true
	grep -lE 'include "daemon/' tools/*.[ch] || true
)"
check "every source says its licence" "$(sources | xargs -r grep -L 'SPDX-License-Identifier: ' || true)"
check "client, headers and examples are LGPL-2.1-or-later" "$(sources |
	grep -E '^(client|include|examples)/' |
	xargs -r grep -L 'SPDX-License-Identifier: LGPL-2.1-or-later' || true)"
check "BPF programs are GPL-2.0-only" "$(sources | grep -E '\.bpf\.c$' |
	xargs -r grep -L 'SPDX-License-Identifier: GPL-2.0-only' || true)"

# members INTERFACE FILE...: the methods that the vtables in the files offer.
members() {
	interface=$1
	shift
	grep -ohE 'SD_BUS_METHOD_WITH_ARGS\("[A-Za-z]+"' "$@" | sed "s/.*\"\(.*\)\"/$interface \1/"
}
offered=$(
	members Manager daemon/bus_manager.c
	members Session daemon/bus_session.c
	members Breakpoint daemon/bus_breakpoint.c
	members Filter daemon/bus_lend.c
)
allowed=$(sed -n 's/.*send_interface="org\.bpcond1\.\([A-Za-z]*\)" send_member="\([A-Za-z]*\)".*/\1 \2/p' \
	policy/org.bpcond1.conf)
check "the bus's policy names each method that there is, and no other" "$(
	printf '%s\n%s\n' "$offered" "$allowed" | sort | uniq -u
)"
if command -v groff >/dev/null; then
	check "man pages have no mistakes that roff knows of" "$(
		for page in man/*.[1-9]; do
			groff -t -man -Tascii -ww -z "$page" 2>&1 || true
		done
	)"
fi

echo "1..$number"
exit "$failed"
