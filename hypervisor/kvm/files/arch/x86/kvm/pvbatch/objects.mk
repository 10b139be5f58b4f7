# SPDX-License-Identifier: GPL-2.0-only
#
# Included by arch/x86/kvm/Makefile: the engine and the recorder, unchanged from what user
# space compiles, and what connects them to KVM. Shadow paging of 64-bit guests only.
pvbatch-dir := $(srctree)/arch/x86/kvm
pvbatch-src := $(wildcard $(pvbatch-dir)/pvbatch/engine/*.c $(pvbatch-dir)/pvbatch/record/*.c)

kvm-$(CONFIG_X86_64) += pvbatch/call.o pvbatch/backend.o pvbatch/debugfs.o pvbatch/limits.o \
	pvbatch/trace.o
kvm-$(CONFIG_X86_64) += $(patsubst $(pvbatch-dir)/%.c,%.o,$(pvbatch-src))
# In the kernel of the project's tests alone (tests/testbed/kvm).
kvm-$(CONFIG_X86_64) += $(patsubst $(pvbatch-dir)/%.c,%.o,$(wildcard $(pvbatch-dir)/pvbatch/testbed/*.c))

CFLAGS_pvbatch/call.o := -I $(srctree)/arch/x86/kvm/pvbatch

# For a kernel that is built with KASAN or KCSAN for KVM alone (KASAN_SANITIZE=n or
# KCSAN_SANITIZE=n in make's environment).
KASAN_SANITIZE := y
KCSAN_SANITIZE := y
