# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
# Stage: tests - the host agent: a KVM debugfs that the test made, and processes to own the
# VMs in it. Sourced after tests/cli/lib.sh, whose $tmp it uses.

export PVBATCH_RUNTIME_DIR=$tmp/run
kvm=$tmp/kvm
mkdir -p "$kvm"
pids=()

stop_all() {
	local pid

	for pid in "${pids[@]}"; do
		kill -KILL "$pid"
		wait "$pid"
	done 2>/dev/null
	rm -rf "$tmp"
}
trap stop_all EXIT

# domain_process NAME UUID: a process that looks like libvirt's QEMU; its id is $pid.
domain_process() {
	perl -e "sleep 1000" -- -name "guest=$1,debug-threads=on" -uuid "$2" &
	pid=$!
	pids+=("$pid")
}

# kvm_vm PID FD SWITCH [COUNTER=VALUE...]: a VM in the made-up debugfs.
kvm_vm() {
	local dir=$kvm/$1-$2 setting

	mkdir -p "$dir"
	echo "$3" >"$dir/pvbatch"
	shift 3
	for setting in "$@"; do
		echo "${setting#*=}" >"$dir/${setting%%=*}"
	done
}

# until_true COMMAND...: ten seconds for it to become true.
until_true() {
	for _ in $(seq 100); do
		"$@" >/dev/null 2>&1 && return
		sleep 0.1
	done
	return 1
}
