#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Fuzzes: builds every fuzzer with clang's libFuzzer, ASan and UBSan, and runs those that are named,
# or all, one after the other, for so many seconds each. What one finds lies in BUILD/found/NAME; what it
# learns in BUILD/learnt/NAME, from where the next run goes on. `emit` and `filter` load programs into
# the kernel and need root.
#
# With --merge the corpora in the tree get the fewest inputs of BUILD/learnt that reach all of the code
# which they do not reach and those do. Nothing is fuzzed then.
#
# usage: run.sh [--build DIR] [SECONDS [NAME...]]
#        run.sh [--build DIR] --merge [NAME...]
set -euo pipefail

HERE=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
readonly HERE
readonly SOURCE=$HERE/../..
readonly LARGEST_INPUT=8192
# A corpus in the tree takes no larger inputs, so that it stays a thing to look at.
readonly LARGEST_KEPT=2048
build=$SOURCE/build-fuzz
merge=0

die() {
	printf 'run.sh: %s\n' "$*" >&2
	exit 1
}

configure() {
	[[ -f $build/build.ninja ]] && return 0
	CC=clang meson setup "$build" "$SOURCE" -Dfuzzers=true -Dbuildtype=debugoptimized \
		-Db_sanitize=address,undefined -Db_lundef=false \
		-Dc_args='-fsanitize=fuzzer-no-link -fno-sanitize-recover=all -fno-omit-frame-pointer'
}

names() {
	local file
	for file in "$HERE"/fuzz_*.c; do
		file=${file##*/fuzz_}
		printf '%s\n' "${file%.c}"
	done
}

run() {
	local name=$1 seconds=$2
	mkdir -p "$build/found/$name" "$build/learnt/$name"
	printf '== %s, %s seconds\n' "$name" "$seconds"
	"$build/tests/fuzz/fuzz_$name" -max_total_time="$seconds" -max_len=$LARGEST_INPUT -timeout=20 \
		-rss_limit_mb=2048 -print_final_stats=1 \
		-artifact_prefix="$build/found/$name/" "$build/learnt/$name" "$HERE/corpus/$name"
}

merge() {
	local name=$1
	[[ -d $build/learnt/$name ]] || die "nothing learnt of $name: run it first"
	"$build/tests/fuzz/fuzz_$name" -set_cover_merge=1 -use_counters=0 -max_len=$LARGEST_KEPT "$HERE/corpus/$name" \
		"$build/learnt/$name"
}

while [[ ${1-} == --* ]]; do
	case $1 in
	--build)
		build=${2:?--build wants a directory}
		shift
		;;
	--merge) merge=1 ;;
	*) die "usage: run.sh [--build DIR] [SECONDS [NAME...]] | --merge [NAME...]" ;;
	esac
	shift
done
seconds=60
if ((!merge)) && [[ $# -gt 0 ]]; then
	seconds=$1
	shift
	[[ $seconds =~ ^[0-9]+$ ]] || die "'$seconds' is no number of seconds"
fi
[[ $# -gt 0 ]] || mapfile -t all < <(names)
[[ $# -gt 0 ]] || set -- "${all[@]}"

configure
targets=()
for name in "$@"; do
	[[ -f $HERE/fuzz_$name.c ]] || die "there is no fuzzer '$name'; there are: $(names | xargs)"
	targets+=("tests/fuzz/fuzz_$name")
done
ninja -C "$build" "${targets[@]}"
status=0
for name in "$@"; do
	if ((merge)); then
		merge "$name"
	else
		run "$name" "$seconds" || status=1
	fi
done
exit $status
