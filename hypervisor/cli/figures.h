/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stage: command line - figures of VMs as people read them: `pvbatch stat` and `pvbatch top`.
 */
#ifndef PVB_CLI_FIGURES_H
#define PVB_CLI_FIGURES_H

#include <agent/agent.h>

#define FIGURE_BYTES 16

/* Four digits and a unit: "812", "12.3k"; "-" for NAN, which is not known. */
void figure_text(char text[FIGURE_BYTES], double value);
/* One line of the table of VMs, or its head with @vm NULL; no newline. */
void figure_row(char *text, size_t bytes, const struct agent_vm *vm, double seconds);
/*
 * Lines about one VM: all counters, then the histogram. Calls @line for each.
 * @since: what happened in the last @seconds; NULL: nothing is known of that.
 */
void figure_details(const struct agent_vm *vm, const struct agent_vm *since, double seconds,
		    void (*line)(void *ctx, const char *text), void *ctx);
/* The sources of this machine, as options and environment say; agent_sources_free(). */
struct agent_sources figure_sources(const char *kvm);
void figure_sources_free(struct agent_sources *sources);

#endif /* PVB_CLI_FIGURES_H */
