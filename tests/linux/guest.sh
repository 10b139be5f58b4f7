# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Stage: Linux tests - what the tests that boot our kernel as guest of itself share: packing
# the guest's files, booting it as often as the emulator needs, TAP. Sourced by test, stress,
# mm-test and ledger.
#
# Under icount, so that a busy machine's clock does not run away from the guest. A guest that
# stops in silence is tried again, and said to have been: docs/linux.md says why guests
# stop. One that complains is not.
#
# A script that sources this gets: guest_* functions and ok; kernel, cpus, timeout, append and
# repeat from its options; out, the file with what the last guest printed.

TB_NAME=${0##*/}
# shellcheck source-path=SCRIPTDIR source=../testbed/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../testbed/lib.sh"
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 125

kernel=build/linux/bzImage cpus=1 timeout=150 memory=256 disk='' append=''
tries=4 count=0 failed=0 booted='' moves=''

# guest_options ABOUT ARG...: reads what all these tests take; ABOUT is said by --help.
guest_options() {
	local about=$1

	shift
	while [ $# -gt 0 ]; do
		case $1 in
		--kernel | --cpus | --timeout | --append)
			[ $# -ge 2 ] || tb_die "$1 needs a value"
			;;&
		--kernel) kernel=$2; shift ;;
		--cpus) tb_number "$1" "$2"; cpus=$2; shift ;;
		--timeout) tb_number "$1" "$2"; timeout=$2; shift ;;
		--append) append=$2; shift ;;
		--help)
			cat <<-END
			usage: $TB_NAME [OPTION]...
			$about Prints TAP.
			  --kernel BZIMAGE  both levels' kernel (default $kernel)
			  --cpus N          CPUs of the guest and of its host (default $cpus)
			  --append ARGS     more for the guest's command line
			  --timeout S       for each try of a guest (default $timeout)
			END
			exit 0
			;;
		*) tb_die "unknown option $1 (--help lists them)" ;;
		esac
		shift
	done
}

# guest_skip WHY: ends; nothing was tested.
guest_skip() {
	echo "1..0 # SKIP $*"
	exit 0
}

# guest_begin: a root tree to be filled (guest_file), whose process 1 is in-guest, which runs
# /test; that comes from standard input.
guest_begin() {
	[ -r "$kernel" ] || guest_skip "no $kernel: make linux"
	tb_begin
	out=$TB_TMP/out
	tb_root_new "$TB_TMP/root"
	cp tests/linux/in-guest "$TB_TMP/root/init"
	cat >"$TB_TMP/root/test"
}

# guest_file FILE [PATH]: takes FILE along, with the libraries that it needs.
guest_file() {
	tb_root_file "$TB_TMP/root" "$@"
}

# guest_pack: no more files.
guest_pack() {
	tb_root_pack "$TB_TMP/root" "$TB_TMP/root.cpio"
}

# Words of a kernel that has found a mistake, or of a test that has.
guest_trouble='^(not ok|complaint:)|BUG:|Oops|Kernel panic|general protection|lost:'

# The mark of the emulator's interrupt inside its own handler (docs/linux.md): a timer's
# function has returned and another has been started meanwhile.
guest_double_mark='complaint: (WARNING: .* __hrtimer_run_queues\+|Call Trace:)'

# guest_doubled: has the last guest complained, and of nothing but that?
guest_doubled() {
	grep -aq '^complaint: .* __hrtimer_run_queues+' "$out" &&
		! grep -aE "$guest_trouble" "$out" | grep -aqvE "^$guest_double_mark"
}

# Before 10.2 QEMU moves a guest's exception that is being delivered without its error code: a
# process's access to a page that is not there looks like one by the supervisor, in user mode.
# No kernel's mistake looks so. Only where guests move: moves is set, and this comes first.
guest_codeless() {
	[ -n "$moves" ] && grep -aE "$guest_trouble|#PF:" "$out" | head -n 2 |
		grep -aq '#PF: supervisor read access in user mode'
}

# guest_boot NAME APPEND [HOST-APPEND]: boots the guest; ok says whether it came to its end.
guest_boot() {
	local name=$1 start=$SECONDS try

	for ((try = 1; try <= tries; try++)); do
		tests/linux/run shadow --kernel "$kernel" --cpus "$cpus" --timeout "$timeout" \
			--memory "$memory" ${disk:+--disk "$disk"} --initramfs "$TB_TMP/root.cpio" \
			--host-append "kvm.inject_once=on ${3-}" --append "$2 $append" 2>&1 | tr -d '\r' >"$out"
		if guest_doubled; then
			echo "# $name: try $try of $tries: a timer's interrupt inside its own handler"
			continue
		fi
		if guest_codeless; then
			echo "# $name: try $try of $tries: QEMU moved a page fault without its error code"
			continue
		fi
		if grep -qx 'done' "$out" || grep -aqE "$guest_trouble" "$out"; then
			break
		fi
		echo "# $name: try $try of $tries did not end after $(grep -c '' "$out") lines"
	done
	booted=$name
	grep -qx 'done' "$out"
	ok $? "$name: the guest comes up and goes down"
	# For tests/run: it was the machine, not what ran there.
	[ "$try" -le "$tries" ] || echo "# $name: did not end in any of $tries tries"
	echo "# $name: $((SECONDS - start)) s"
}

# ok STATUS NAME: on failure the end of the guest's output follows.
ok() {
	count=$((count + 1))
	if [ "$1" -eq 0 ]; then
		echo "ok $count - $2"
		return
	fi
	echo "not ok $count - $2"
	failed=1
	grep -aE "$guest_trouble" "$out" | head -n 20 | sed 's/^/# /'
	tail -n 40 "$out" | sed 's/^/# /'
}

# guest_clean: the last guest's kernel complains of nothing.
guest_clean() {
	! grep -aq '^complaint:' "$out"
	ok $? "$booted: the kernel complains of nothing"
}

# guest_checks NUMBER: what the last guest's own test found ("ok - NAME"), and that it looked so often.
guest_checks() {
	local line

	while read -r line; do
		[ "${line%% - *}" = ok ]
		ok $? "$booted: ${line#* - }"
	done < <(grep -aE '^(not )?ok - ' "$out")
	[ "$(grep -acE '^ok - ' "$out")" -eq "$1" ]
	ok $? "$booted: $1 checks were made"
}

# guest_number WHAT: the number behind WHAT in what the last guest printed, 0 if there is none.
guest_number() {
	local number

	number=$(sed -n "s/^$1 //p" "$out" | head -n 1)
	echo "${number:-0}"
}

# guest_batched: the last guest submitted batches, by its own counters.
guest_batched() {
	[ "$(guest_number '# stats: calls')" -gt 0 ]
	ok $? "$booted: batches were submitted"
}

# guest_end: the plan, and the test's exit code.
guest_end() {
	echo "1..$count"
	exit "$failed"
}
