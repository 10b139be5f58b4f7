// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: Linux tests - a QEMU plugin that counts what a PV domain asks of Xen, which an
 * unmodified Xen does not tell: hypercalls (SYSCALL executed by the guest's kernel) and exits
 * (returns from Xen to the guest, whatever made it come), and whose instructions were executed.
 * tests/linux/guest.c marks what is to be counted (tests/linux/probe.h); one line "exits=N
 * hypercalls=N xen=N kernel=N user=N" for each of its rows. If asked, where, too. One CPU.
 *
 * QEMU's plugin header is not in Debian's packages; what is used of it is declared here
 * (plugin API version 1).
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../linux/probe.h"

typedef uint64_t qemu_plugin_id_t;
struct qemu_info;
struct qemu_plugin_insn;
struct qemu_plugin_tb;

#define QEMU_PLUGIN_INLINE_ADD_U64 0
#define QEMU_PLUGIN_CB_NO_REGS 0

extern int qemu_plugin_version;
int qemu_plugin_version = 1;

void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id,
					   void (*cb)(qemu_plugin_id_t, struct qemu_plugin_tb *));
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *tb, int op, void *ptr,
					      uint64_t imm);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t i);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *insn);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);
void qemu_plugin_register_vcpu_insn_exec_inline(struct qemu_plugin_insn *insn, int op, void *ptr,
						uint64_t imm);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn,
					    void (*cb)(unsigned int, void *), int flags,
					    void *data);
int qemu_plugin_install(qemu_plugin_id_t id, const struct qemu_info *info, int argc, char **argv);

/* Where Xen and a 64-bit PV kernel live (Xen's public arch-x86/xen-x86_64.h; Linux's mm.rst). */
#define XEN_START 0xffff800000000000ULL
#define XEN_END 0xffff880000000000ULL
#define KERNEL_START 0xffffffff80000000ULL

struct counts {
	uint64_t exits, hypercalls;
	uint64_t xen, kernel, user; /* instructions */
};

/* One translated block; a block that is translated anew is another one. */
struct block {
	struct block *next;
	uint64_t address;
	uint64_t now, begin, sum; /* instructions executed */
};

static struct counts now, begin, sum;
static struct block *blocks;
static const char *profile;
static bool counting = true; /* from power-on up to the first row, which is the boot */
static FILE *output;

static void add_up(void)
{
	if (!counting)
		return;
	counting = false;
	sum.exits += now.exits - begin.exits;
	sum.hypercalls += now.hypercalls - begin.hypercalls;
	sum.xen += now.xen - begin.xen;
	sum.kernel += now.kernel - begin.kernel;
	sum.user += now.user - begin.user;
	for (struct block *b = blocks; b; b = b->next)
		b->sum += b->now - b->begin;
}

static void start(void)
{
	begin = now;
	for (struct block *b = blocks; b; b = b->next)
		b->begin = b->now;
	counting = true;
}

static void forget(void)
{
	sum = (struct counts){ 0 };
	for (struct block *b = blocks; b; b = b->next)
		b->sum = 0;
	counting = false;
}

/* The last row's, as an address and a number a line. */
static void write_profile(void)
{
	FILE *file = fopen(profile, "w");

	if (!file)
		return;
	for (const struct block *b = blocks; b; b = b->next)
		if (b->sum)
			fprintf(file, "%016" PRIx64 " %" PRIu64 "\n", b->address, b->sum);
	fclose(file);
}

static void marked(unsigned int cpu, void *data)
{
	(void)cpu;
	switch ((uintptr_t)data) {
	case PROBE_BEGIN:
		start();
		break;
	case PROBE_END:
		add_up();
		break;
	case PROBE_ROW:
		add_up();
		fprintf(output,
			"exits=%" PRIu64 " hypercalls=%" PRIu64 " xen=%" PRIu64 " kernel=%" PRIu64
			" user=%" PRIu64 "\n",
			sum.exits, sum.hypercalls, sum.xen, sum.kernel, sum.user);
		fflush(output);
		if (profile)
			write_profile();
		forget();
		break;
	default: /* PROBE_FORGET */
		forget();
	}
}

static bool is(const struct qemu_plugin_insn *insn, const void *bytes, size_t size)
{
	return qemu_plugin_insn_size(insn) == size &&
	       !memcmp(qemu_plugin_insn_data(insn), bytes, size);
}

static void look_at(struct qemu_plugin_insn *insn)
{
	static const uint8_t syscall[] = { 0x0f, 0x05 }, sysretq[] = { 0x48, 0x0f, 0x07 },
			     iretq[] = { 0x48, 0xcf }, mark[] = { PROBE_MARK_OPCODE };
	uint64_t address = qemu_plugin_insn_vaddr(insn);
	const uint8_t *bytes = qemu_plugin_insn_data(insn);
	uint32_t value;

	if (address >= XEN_START && address < XEN_END) {
		if (is(insn, sysretq, sizeof(sysretq)) || is(insn, iretq, sizeof(iretq)))
			qemu_plugin_register_vcpu_insn_exec_inline(insn, QEMU_PLUGIN_INLINE_ADD_U64,
								   &now.exits, 1);
		return;
	}
	if (address >= KERNEL_START) {
		if (is(insn, syscall, sizeof(syscall)))
			qemu_plugin_register_vcpu_insn_exec_inline(insn, QEMU_PLUGIN_INLINE_ADD_U64,
								   &now.hypercalls, 1);
		return;
	}
	if (qemu_plugin_insn_size(insn) != sizeof(mark) + sizeof(value) ||
	    memcmp(bytes, mark, sizeof(mark)))
		return;
	memcpy(&value, bytes + sizeof(mark), sizeof(value));
	if (value > PROBE_MARK_BASE && value <= PROBE_MARK_BASE + PROBE_FORGET)
		qemu_plugin_register_vcpu_insn_exec_cb(
			insn, marked, QEMU_PLUGIN_CB_NO_REGS,
			(void *)(uintptr_t)(value - PROBE_MARK_BASE));
}

static void add_block(struct qemu_plugin_tb *tb)
{
	struct block *b = calloc(1, sizeof(*b));

	if (!b)
		return;
	b->address = qemu_plugin_tb_vaddr(tb);
	b->next = blocks;
	blocks = b;
	qemu_plugin_register_vcpu_tb_exec_inline(tb, QEMU_PLUGIN_INLINE_ADD_U64, &b->now,
						 qemu_plugin_tb_n_insns(tb));
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
	uint64_t address = qemu_plugin_tb_vaddr(tb);
	uint64_t *whose = address < XEN_START ? &now.user :
			  address < XEN_END   ? &now.xen :
						&now.kernel;

	(void)id;
	qemu_plugin_register_vcpu_tb_exec_inline(tb, QEMU_PLUGIN_INLINE_ADD_U64, whose,
						 qemu_plugin_tb_n_insns(tb));
	if (profile)
		add_block(tb);
	for (size_t i = 0; i < qemu_plugin_tb_n_insns(tb); i++)
		look_at(qemu_plugin_tb_get_insn(tb, i));
}

/* Arguments: out=FILE [profile=FILE] */
int qemu_plugin_install(qemu_plugin_id_t id, const struct qemu_info *info, int argc, char **argv)
{
	(void)info;
	for (int i = 0; i < argc; i++) {
		if (!strncmp(argv[i], "out=", 4))
			output = fopen(argv[i] + 4, "w");
		else if (!strncmp(argv[i], "profile=", 8))
			profile = strdup(argv[i] + 8);
	}
	if (!output)
		return -1;
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	return 0;
}
