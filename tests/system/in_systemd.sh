#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Boots a real systemd on this machine, beside whatever its process 1 is, and runs a command in it:
# namespaces of every kind but the user's, over a copy of the root file system that is written to in
# memory only. dbus-daemon, polkitd and journald come up there as on any system, by the host's own
# packages. Nothing of it is left behind, and the host's files are not touched.
#
# usage: in_systemd.sh [--with DIRECTORY]... COMMAND...   as root; exits with COMMAND's status, 125 when
#        the system did not come up. DIRECTORY is there too if it is on a file system of its own; it
#        is a copy in memory as everything.
set -euo pipefail
readonly BOOT_SECONDS=30

die() {
	echo "in_systemd: $*" >&2
	exit 125
}

# ---- within: process 1 of the new namespaces ------------------------------------------------------

# overlay PATH: at its place below the new root, a copy of the host's PATH.
overlay() {
	local to=$BOX/root$1 layers
	layers=$(mktemp -d -p "$BOX/layers")
	mkdir -p "$layers/upper" "$layers/work" "$to"
	mount -t overlay -o "lowerdir=$1,upperdir=$layers/upper,workdir=$layers/work" overlay "$to"
}

make_devices() {
	local name
	mount -t tmpfs -o mode=755 tmpfs "$BOX/root/dev"
	for name in null zero full random urandom tty; do
		touch "$BOX/root/dev/$name"
		mount --bind "/dev/$name" "$BOX/root/dev/$name"
	done
	mkdir -p "$BOX/root/dev/shm" "$BOX/root/dev/pts"
	mount -t tmpfs tmpfs "$BOX/root/dev/shm"
	mount -t devpts -o newinstance,ptmxmode=0666 devpts "$BOX/root/dev/pts"
	ln -s pts/ptmx "$BOX/root/dev/ptmx"
	ln -s /proc/self/fd "$BOX/root/dev/fd"
}

# The host's own services are not wanted here: what remains is what dbus, polkit and journald need.
strip_services() {
	local root=$BOX/root
	rm -rf -- "$root"/etc/systemd/system/*.wants "$root"/etc/polkit-1/rules.d/*
	rm -f -- "$root"/usr/lib/systemd/system/multi-user.target.wants/* \
		"$root"/usr/lib/systemd/system/sysinit.target.wants/{*udev*,*modules*,*sysctl*,*binfmt*,*random*} \
		"$root"/usr/lib/systemd/system/sysinit.target.wants/{*hwdb*,*mount,*firstboot*,*machine-id*} \
		"$root"/usr/lib/systemd/system/sysinit.target.wants/{*boot-update*,*update-done*}
	: >"$root/etc/fstab"
	tr -d - </proc/sys/kernel/random/uuid >"$root/etc/machine-id"
}

become_system() {
	local directory
	mount -t tmpfs -o mode=755 tmpfs "$BOX"
	mkdir "$BOX/layers" "$BOX/root"
	overlay /
	for directory in "${WITH[@]}"; do
		[[ -e $BOX/root$directory && $(stat -c %d "$directory") == $(stat -c %d /) ]] ||
			overlay "$directory"
	done
	strip_services
	make_devices
	mount -t proc proc "$BOX/root/proc"
	mount --bind "$BOX/root/proc/sys" "$BOX/root/proc/sys"
	mount -o remount,bind,ro "$BOX/root/proc/sys"
	mount -t sysfs -o ro sysfs "$BOX/root/sys"
	mount -t cgroup2 cgroup2 "$BOX/root/sys/fs/cgroup"
	mount -t tmpfs -o mode=755 tmpfs "$BOX/root/run"
	mount -t tmpfs -o mode=1777 tmpfs "$BOX/root/tmp"
	for directory in "${WITH[@]}"; do
		# what lies below /tmp has just been covered
		[[ -e $BOX/root$directory ]] || overlay "$directory"
	done
	hostname box
	ip link set lo up 2>/dev/null || true
	cd "$BOX/root"
	pivot_root . mnt
	umount -l /mnt
	exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 \
		/lib/systemd/systemd --unit=basic.target --show-status=no --log-target=journal \
		--default-standard-output=journal
}

# ---- without --------------------------------------------------------------------------------------

# shellcheck disable=SC2317 # called by a trap
leave() {
	trap '' INT TERM
	if [[ -n ${unshare_pid-} ]]; then
		kill -KILL "$unshare_pid" 2>/dev/null || true
		wait "$unshare_pid" 2>/dev/null || true
	fi
	if [[ -n ${group-} ]]; then
		# the last of its processes may still be on their way out
		for _ in {1..50}; do
			find "$group" -depth -type d -exec rmdir {} + 2>/dev/null || true
			[[ -d $group ]] || break
			sleep 0.1
		done
	fi
	if [[ -n ${BOX-} ]]; then
		umount "$BOX/cgroup" 2>/dev/null || true
		rm -rf --one-file-system -- "$BOX"
	fi
}

start() {
	BOX=$(mktemp -d /tmp/bpcond-box-XXXXXX)
	trap leave EXIT
	trap 'exit 143' INT TERM
	mkdir "$BOX/cgroup"
	mount -t cgroup2 cgroup2 "$BOX/cgroup" || die "cannot mount the cgroup hierarchy"
	group=$BOX/cgroup/${BOX##*/}
	mkdir "$group"
	(
		echo "$BASHPID" >"$group/cgroup.procs"
		exec setpriv --pdeathsig KILL unshare --fork --kill-child --pid --mount --uts --ipc --net --cgroup \
			--propagation private "$BASH" "$0" --become "$BOX" "${WITH[@]}"
	) >"$BOX/boot.log" 2>&1 </dev/null &
	unshare_pid=$!
}

# Sets leader: the box's process 1, once it is systemd and takes commands.
wait_for_system() {
	local deadline=$((SECONDS + BOOT_SECONDS))
	leader=
	until [[ -n $leader && $(readlink "/proc/$leader/exe") == */systemd/systemd &&
		-S /proc/$leader/root/run/dbus/system_bus_socket ]]; do
		if ! kill -0 "$unshare_pid" 2>/dev/null || ((SECONDS >= deadline)); then
			cat "$BOX/boot.log" >&2
			die "systemd did not come up"
		fi
		sleep 0.02
		leader=$(cat "/proc/$unshare_pid/task/$unshare_pid/children" 2>/dev/null) || leader=
		leader=${leader%% *}
	done
}

main() {
	local script status=0
	WITH=()
	while [[ ${1-} == --with ]]; do
		WITH+=("$(realpath -- "$2")")
		shift 2
	done
	(($#)) || die "no command"
	start
	wait_for_system
	# systemd-run expands what looks like a variable: it gets a script, not the words
	script=/run/command
	{
		echo '#!/bin/bash'
		echo "export LANG=C.UTF-8 BPCOND_MUST_WORK=${BPCOND_MUST_WORK-}"
		echo "export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:${PATH@Q}"
		echo "exec ${*@Q}"
	} >"/proc/$leader/root$script"
	chmod +x "/proc/$leader/root$script"
	nsenter --target "$leader" --all --wd=/ systemd-run --quiet --wait --pipe --collect \
		"$script" </dev/null &
	# waited for, so that a signal to us is heard at once
	wait $! || status=$?
	exit "$status"
}

if [[ ${1-} == --become ]]; then
	BOX=$2
	WITH=("${@:3}")
	become_system
fi
main "$@"
