# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Stage: testbed - what every script that boots a machine inside QEMU shares: fetching a
# Debian kernel, packing an initramfs, running QEMU so that it cannot outlive the script,
# and carrying a command's output and exit code out of it. Sourced by run-kvm and by the
# Linux and Xen runners; docs/testbed.md explains.
#
# A script that sources this gets: tb_* functions; TB_TMP, a private directory that goes
# away with the script; TB_DIR, this directory. Its own failures end with exit code 125,
# a timeout with 124, as timeout(1) has it.

TB_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
TB_NAME=${TB_NAME:-${0##*/}}
TB_TMP=
TB_PIDS=() # processes to end with the script
TB_STREAMS=()
TB_HOLDS=()

tb_die() {
	echo "$TB_NAME: $*" >&2
	exit 125
}

# tb_need COMMAND PACKAGE: ends with the name of the package if COMMAND is not there.
tb_need() {
	command -v "$1" >/dev/null || PATH=$PATH:/usr/sbin:/sbin command -v "$1" >/dev/null ||
		tb_die "$1 is missing: install the package $2"
}

# tb_number OPTION VALUE: ends with a message if VALUE is no number from 1 on.
tb_number() {
	[[ $2 =~ ^[1-9][0-9]{0,5}$ ]] || tb_die "$1 takes a number, not '$2'"
}

# tb_begin: makes TB_TMP, and sees to it that everything ends with the script.
tb_begin() {
	tb_need qemu-system-x86_64 qemu-system-x86
	tb_need busybox busybox-static
	tb_need cpio cpio
	tb_need modprobe kmod
	TB_TMP=$(mktemp -d "${TMPDIR:-/tmp}/pvbatch-testbed.XXXXXX") ||
		tb_die "no temporary directory in ${TMPDIR:-/tmp}"
	trap tb_end EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM HUP
}

tb_end() {
	local pid

	trap - EXIT INT TERM HUP
	for pid in "${TB_PIDS[@]}"; do
		kill -KILL "$pid" 2>/dev/null
	done
	wait 2>/dev/null
	rm -rf "$TB_TMP"
}

# tb_cache_dir: prints where fetched kernels are kept between runs.
tb_cache_dir() {
	local dir=${XDG_CACHE_HOME:-${HOME:+$HOME/.cache}}

	echo "${dir:-$TB_DIR/../../build}/pvbatch"
}

# tb_apt_newest REGEX: prints the newest package whose name matches.
tb_apt_newest() {
	apt-cache search --names-only "$1" 2>/dev/null | cut -d' ' -f1 | sort -V | tail -n 1
}

# tb_kernel_package: prints the kernel package to fetch. The cloud flavour is a third of the
# size, boots faster and has KVM, virtio and 8250 consoles all the same.
tb_kernel_package() {
	local series name

	for series in '6\.12' '6\.1'; do
		for flavour in 'cloud-amd64' 'amd64'; do
			name=$(tb_apt_newest "^linux-image-$series\\.[0-9+.deb-]*-$flavour-unsigned\$")
			[ -z "$name" ] || { echo "$name"; return; }
		done
	done
	return 1
}

# tb_fetch_package KIND CHOOSE FINISH: sets TB_PACKAGE_ROOT to an unpacked Debian package out
# of the cache; fetches it on the first run. Nothing is installed on this machine. CHOOSE
# is a function that prints the package's name; FINISH, given the root, completes it.
tb_fetch_package() {
	local kind=$1 choose=$2 finish=$3 cache package dir

	cache=$(tb_cache_dir)/$kind
	mkdir -p "$cache" || tb_die "cannot make $cache"
	exec 8>"$cache/lock" || tb_die "cannot write to $cache"
	flock 8
	dir=$(find "$cache" -mindepth 2 -maxdepth 2 -name ready -printf '%h\n' | sort -V | tail -n 1)
	if [ -z "$dir" ]; then
		tb_need apt-get "apt; without it only --kernel helps"
		tb_need dpkg-deb dpkg
		package=$($choose) || {
			[ "$(id -u)" -ne 0 ] || apt-get update >"$TB_TMP/apt.log" 2>&1
			package=$($choose)
		} || tb_die "apt knows no package for the $kind: run apt-get update"
		echo "$TB_NAME: fetching $package (once)" >&2
		tb_unpack_package "$package" "$cache" "$finish"
		dir=$cache/$TB_PACKAGE_FILE
	fi
	exec 8>&-
	TB_PACKAGE_ROOT=$dir
}

# tb_unpack_package PACKAGE CACHE FINISH: into CACHE, under the package's file name
# (TB_PACKAGE_FILE), which holds the version.
tb_unpack_package() {
	local package=$1 cache=$2 finish=$3 scratch=$TB_TMP/package deb

	mkdir -p "$scratch"
	if ! (cd "$scratch" && apt-get -o APT::Sandbox::User=root download "$package") \
		>"$TB_TMP/apt.log" 2>&1; then
		tail -n 5 "$TB_TMP/apt.log" >&2
		tb_die "cannot download $package: no network, or no room in $scratch"
	fi
	deb=$(find "$scratch" -name '*.deb')
	TB_PACKAGE_FILE=$(basename "$deb" .deb)
	rm -rf "${cache:?}/${TB_PACKAGE_FILE:?}" "$cache/new"
	dpkg-deb -x "$deb" "$cache/new" ||
		tb_die "cannot unpack $package into $cache: $(tb_room "$cache")"
	$finish "$cache/new" || tb_die "cannot prepare $package in $cache: $(tb_room "$cache")"
	{ touch "$cache/new/ready" && mv "$cache/new" "$cache/$TB_PACKAGE_FILE"; } ||
		tb_die "cannot write to $cache: $(tb_room "$cache")"
	rm -rf "$scratch"
}

tb_finish_kernel() {
	local version

	version=$(basename "$1"/boot/vmlinuz-*)
	PATH=$PATH:/usr/sbin:/sbin depmod -b "$1" "${version#vmlinuz-}"
}

# tb_fetch_kernel: sets TB_KERNEL, TB_KERNEL_VERSION and TB_KERNEL_ROOT, the unpacked package.
tb_fetch_kernel() {
	tb_fetch_package kernel tb_kernel_package tb_finish_kernel
	TB_KERNEL_ROOT=$TB_PACKAGE_ROOT
	TB_KERNEL=$(find "$TB_KERNEL_ROOT/boot" -name 'vmlinuz-*' | head -n 1)
	TB_KERNEL_VERSION=${TB_KERNEL##*/vmlinuz-}
	[ -r "$TB_KERNEL" ] || tb_die "no kernel in $TB_KERNEL_ROOT: remove it and try again"
}

tb_xen_package() {
	local name

	name=$(tb_apt_newest '^xen-hypervisor-4\.17-amd64$')
	[ -n "$name" ] && echo "$name"
}

# QEMU loads the ELF as a multiboot kernel, but not compressed.
tb_finish_xen() {
	gunzip -c "$1"/boot/xen-*-amd64.gz >"$1/xen"
}

# tb_fetch_xen: sets TB_XEN to the hypervisor of Debian's package.
tb_fetch_xen() {
	tb_fetch_package xen tb_xen_package tb_finish_xen
	# shellcheck disable=SC2034 # for the scripts that source this
	TB_XEN=$TB_PACKAGE_ROOT/xen
}

# tb_room DIR: prints how much room is left there.
tb_room() {
	df -h --output=avail,target "$1" | awk 'NR == 2 { print $1 " left on " $2 }'
}

# tb_quote WORD...: prints the words quoted for any POSIX shell.
tb_quote() {
	local word

	for word in "$@"; do
		printf "'%s' " "${word//\'/\'\\\'\'}"
	done
}

# tb_root_new ROOT: a root tree with busybox, to be filled and packed.
tb_root_new() {
	local root=$1

	mkdir -p "$root"/{bin,dev,proc,sys,run,root,tmp,etc,testbed/modules} ||
		tb_die "cannot fill $root: $(tb_room "$TB_TMP")"
	ln -s bin "$root/sbin"
	tb_root_file "$root" "$(command -v busybox)" /bin/busybox
	ln -s busybox "$root/bin/sh"
	ln -s /proc/mounts "$root/etc/mtab"
	echo 'root:x:0:0:root:/root:/bin/sh' >"$root/etc/passwd"
}

# tb_root_file ROOT FILE [PATH]: copies FILE to PATH (the same path if not given), with the
# shared libraries or the interpreter that it needs.
tb_root_file() {
	local root=$1 file=$2 path=${3:-} dep

	[ -n "$path" ] || path=$(realpath -s "$file")
	[ ! -e "$root$path" ] || return 0
	{ mkdir -p "$root$(dirname "$path")" && cp -L "$file" "$root$path"; } ||
		tb_die "cannot copy $file: $(tb_room "$TB_TMP")"
	case $(head -c 4 "$file" | tr -d '\0') in
	'#!'*)
		dep=$(head -n 1 "$file" | sed 's/^#! *\([^ ]*\).*/\1/')
		[ ! -f "$dep" ] || tb_root_file "$root" "$dep" "$dep"
		# '#!/usr/bin/env bash'
		dep=$(head -n 1 "$file" | sed -n 's/^#!.*env  *\([^ ]*\).*/\1/p')
		[ -z "$dep" ] || tb_root_file "$root" "$(command -v "$dep")"
		;;
	$'\x7fELF')
		while read -r dep; do
			tb_root_file "$root" "$dep" "$dep"
		done < <(ldd "$file" 2>/dev/null | grep -o '/[^ ]*')
		;;
	esac
	# what glibc loads by itself when a thread ends
	case $path in
	*/libc.so.6) dep=$(dirname "$file")/libgcc_s.so.1
		[ ! -f "$dep" ] || tb_root_file "$root" "$dep" "$(dirname "$path")/libgcc_s.so.1" ;;
	esac
}

# tb_root_modules ROOT MODULE...: modules of the fetched kernel and what they depend on,
# decompressed, in /testbed/modules; their load order in /testbed/modules/order.
tb_root_modules() {
	local root=$1 module file name

	shift
	for module in "$@"; do
		PATH=$PATH:/usr/sbin:/sbin modprobe -d "$TB_KERNEL_ROOT" -S "$TB_KERNEL_VERSION" \
			--show-depends "$module" || tb_die "$TB_KERNEL_VERSION has no module $module"
	done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }' >"$TB_TMP/modules"
	while read -r file; do
		name=$(basename "$file")
		case $name in
		*.xz) tb_need xz xz-utils; xz -dc "$file" ;;
		*.zst) tb_need zstd zstd; zstd -dcq "$file" ;;
		*) cat "$file" ;;
		esac >"$root/testbed/modules/${name%%.*}.ko" ||
			tb_die "cannot unpack $file: $(tb_room "$TB_TMP")"
		echo "${name%%.*}" >>"$root/testbed/modules/order"
	done <"$TB_TMP/modules"
}

# tb_root_pack ROOT FILE: the tree as an initramfs, owned by root. Not compressed: QEMU puts
# it into memory faster than an emulated CPU could unpack it.
tb_root_pack() {
	(cd "$1" && find . -print0 | cpio -0 -o -H newc -R 0:0 --quiet) >"$2" ||
		tb_die "cannot pack the initramfs: $(tb_room "$TB_TMP")"
}

# tb_stream FIFO FD: carries what QEMU writes into FIFO to file descriptor FD. The script
# holds FIFO open meanwhile, so that it ends exactly when tb_streams_end says so.
tb_stream() {
	local hold

	mkfifo "$1" || tb_die "cannot make $1"
	exec {hold}<>"$1"
	cat "$1" >&"$2" {hold}>&- &
	TB_STREAMS+=($!)
	TB_PIDS+=($!)
	TB_HOLDS+=("$hold")
}

# tb_streams_end: to be called after QEMU: waits until all it wrote has gone through.
tb_streams_end() {
	local hold

	for hold in "${TB_HOLDS[@]}"; do
		exec {hold}>&-
	done
	[ "${#TB_STREAMS[@]}" -eq 0 ] || wait "${TB_STREAMS[@]}"
	TB_STREAMS=()
	TB_HOLDS=()
}

# tb_qemu_channels: sets TB_CHANNELS, QEMU's arguments for four virtio ports that init looks
# up by name: stdout and stderr go straight through, status and files into TB_TMP.
tb_qemu_channels() {
	local name

	tb_stream "$TB_TMP/stdout" 1
	tb_stream "$TB_TMP/stderr" 2
	TB_CHANNELS=(-device "virtio-serial-pci,max_ports=8")
	for name in stdout stderr status files; do
		TB_CHANNELS+=(-chardev "file,id=$name,path=$TB_TMP/$name"
			-device "virtserialport,chardev=$name,name=testbed.$name")
	done
}

# tb_qemu TIMEOUT ARG...: runs QEMU to its end, which TIMEOUT seconds may force. Its own
# messages go to TB_TMP/qemu.log. Returns QEMU's exit code, 124 after a timeout, or 123 when the
# machine's kernel has said twice that a CPU of it is stuck. What TB_QEMU_ARGS holds (words,
# for instance a plugin) is added.
tb_qemu() {
	local timeout=$1 qemu timer watch status ended

	shift
	# If this script is killed with no chance to clean up, QEMU goes too.
	# shellcheck disable=SC2086 # words
	setpriv --pdeathsig KILL qemu-system-x86_64 -display none -nodefaults -no-user-config \
		-no-reboot ${TB_QEMU_ARGS-} "$@" </dev/null >"$TB_TMP/qemu.log" 2>&1 &
	qemu=$!
	setpriv --pdeathsig KILL sleep "$timeout" </dev/null >/dev/null 2>&1 &
	timer=$!
	# Where the console is a pipe, somebody else reads it.
	# shellcheck disable=SC2016 # it is that shell's
	setpriv --pdeathsig KILL sh -c '
		until [ -f "$1" ] && [ "$(grep -ac "soft lockup" "$1")" -ge 2 ]; do sleep 5; done' \
		watch "$TB_TMP/console" </dev/null >/dev/null 2>&1 &
	watch=$!
	TB_PIDS+=("$qemu" "$timer" "$watch")
	wait -n -p ended "$qemu" "$timer" "$watch"
	status=$?
	if [ "$ended" != "$qemu" ]; then
		[ "$ended" = "$timer" ] && status=124 || status=123
		kill -KILL "$qemu"
	fi
	kill "$timer" "$watch" 2>/dev/null
	wait "$qemu" "$timer" "$watch" 2>/dev/null
	tb_streams_end
	return "$status"
}

# tb_explain TEXT: prints why a machine failed: TEXT, its kernel's first complaint, and the last
# lines of its console.
tb_explain() {
	echo "$TB_NAME: $1" >&2
	grep -v "TCG doesn't support" "$TB_TMP/qemu.log" | tail -n 5 >&2
	[ -s "$TB_TMP/console" ] || return 0
	tr -d '\r' <"$TB_TMP/console" | awk '
		!first && /Oops|BUG:|WARNING:|general protection|soft lockup|Kernel panic/ { first = NR }
		{ line[NR] = $0 }
		END {
			for (i = 1; i <= NR; i++)
				if (first && i >= first && i < first + 40 || i > NR - 15)
					print line[i]
		}' >&2
}
