/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stage: command line - the document of results: made in document.c, printed as a table
 * (table.c), drawn (plot.c), written (document.c). docs/benchmarks.md describes it.
 */
#ifndef PVB_CLI_DOCUMENT_H
#define PVB_CLI_DOCUMENT_H

#include <jansson.h>

#include <cli/cli.h>

#define DOCUMENT_SCHEMA 1

/* document_new() - for runs on this machine's KVM; document_add() - what one run gave. */
json_t *document_new(const struct cli_options *options, const struct vmm_host *host);
void document_add(json_t *document, const char *cmdline, const struct vmm_result *result);
/* document_head() - schema, git, host, for a document of other results ("results": []). */
json_t *document_head(const char *backend);
/*
 * document_write() - to a file. An exit code, said why.
 * document_writable() - the same question before a long run.
 */
int document_write(const json_t *document, const char *path);
int document_writable(const char *path);

/* Sums over all results. */
struct document_sums {
	unsigned int results;
	json_int_t verified, lost, merged, conflicts;
};

void document_sum(const json_t *document, struct document_sums *sums);

/* table_print() - the results as a table on standard output. */
void table_print(const json_t *document);
/* plot_write() - ns per PTE against PTEs per hypercall, as SVG, by gnuplot. */
int plot_write(const json_t *document, const char *path);
/* plot_gnuplot() - a file of what gnuplot makes of what @script writes. An exit code. */
int plot_gnuplot(const char *path, void (*script)(void *ctx, FILE *out), void *ctx);

/*
 * cli_measure() - run guests where the options say, one after the other for each part of
 * their command line between semicolons (@otherwise, if they have none). Returns an exit
 * code; *@document is NULL if there are no results, and may be there though the code is
 * not CLI_OK.
 */
int cli_measure(const struct cli_options *options, const char *otherwise, json_t **document);

#endif /* PVB_CLI_DOCUMENT_H */
