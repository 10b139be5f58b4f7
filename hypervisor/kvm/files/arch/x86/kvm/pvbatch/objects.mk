# SPDX-License-Identifier: GPL-2.0-only
#
# Included by arch/x86/kvm/Makefile: the engine, unchanged from what user space
# compiles, and what connects it to KVM. Shadow paging of 64-bit guests only.
pvbatch-dir := $(srctree)/arch/x86/kvm
pvbatch-src := $(wildcard $(pvbatch-dir)/pvbatch/engine/*.c)

kvm-$(CONFIG_X86_64) += pvbatch/call.o pvbatch/backend.o pvbatch/debugfs.o
kvm-$(CONFIG_X86_64) += $(patsubst $(pvbatch-dir)/%.c,%.o,$(pvbatch-src))

CFLAGS_pvbatch/call.o := -I $(srctree)/arch/x86/kvm/pvbatch
