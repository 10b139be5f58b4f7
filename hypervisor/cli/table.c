// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: command line - the table that `pvbatch run` prints.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cli/document.h>

static const char *red = "", *green = "", *bold = "", *plain = "";

static void choose_colours(void)
{
	const char *term = getenv("TERM");

	if (!isatty(STDOUT_FILENO) || getenv("NO_COLOR") || !term || !strcmp(term, "dumb"))
		return;
	red = "\033[31;1m";
	green = "\033[32m";
	bold = "\033[1m";
	plain = "\033[0m";
}

static json_int_t integer(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

static const char *string(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "?";
}

static void print_ns(const json_t *ns, const char *key)
{
	double value = json_real_value(json_object_get(ns, key));

	printf(" %8.*f", value < 100 ? 2 : 0, value);
}

static void print_row(const json_t *row)
{
	const json_t *kvm_exits = json_object_get(row, "kvm_exits");
	const json_t *ns = json_object_get(row, "ns_per_pte");
	bool checked = integer(row, "verified") > 0;
	json_int_t lost = integer(row, "ad_lost");

	printf("%-12.12s %-5s %-9s %5" JSON_INTEGER_FORMAT " %9" JSON_INTEGER_FORMAT
	       " %10" JSON_INTEGER_FORMAT " %9" JSON_INTEGER_FORMAT,
	       string(row, "workload"), string(row, "apply"), string(row, "mode"),
	       integer(row, "batch"), integer(row, "ptes"), integer(row, "hypercalls"),
	       integer(row, "exits"));
	if (json_is_integer(kvm_exits))
		printf(" %9" JSON_INTEGER_FORMAT, json_integer_value(kvm_exits));
	else
		printf(" %9s", "?");
	print_ns(ns, "min");
	print_ns(ns, "median");
	print_ns(ns, "max");
	printf(" %9" JSON_INTEGER_FORMAT, integer(row, "ad_merged"));
	/* A workload that keeps no ledger cannot know what was lost. */
	if (checked || lost)
		printf(" %s%8" JSON_INTEGER_FORMAT "%s", lost ? red : green, lost, plain);
	else
		printf(" %8s", "-");
	printf(" %9" JSON_INTEGER_FORMAT "\n", integer(row, "conflicts"));
}

void table_print(const json_t *document)
{
	const json_t *host = json_object_get(document, "host");
	const json_t *results = json_object_get(document, "results");
	struct document_sums sums;
	const json_t *row;
	size_t i;

	choose_colours();
	document_sum(document, &sums);
	if (!sums.results)
		return;
	printf("\n%s%-12s %-5s %-9s %5s %9s %10s %9s %9s %26s %9s %8s %9s%s\n", bold, "", "", "",
	       "", "", "hyper-", "exits to", "all VM", "---- ns per PTE ----- ", "A/D", "A/D", "",
	       plain);
	printf("%s%-12s %-5s %-9s %5s %9s %10s %9s %9s %8s %8s %8s %9s %8s %9s%s\n", bold,
	       "workload", "apply", "mode", "batch", "PTEs", "calls", "the VMM", "exits", "min",
	       "median", "max", "carried", "lost", "conflicts", plain);
	json_array_foreach(results, i, row) print_row(row);
	printf("\n%s: %s, Linux %s, %s paging%s\n", string(host, "backend"), string(host, "cpu"),
	       string(host, "kernel"), string(host, "paging"),
	       json_is_true(json_object_get(host, "native")) ? "" :
							       ", emulated: times mean nothing");
	if (sums.verified)
		printf("%" JSON_INTEGER_FORMAT " pages compared with what each vCPU wrote: "
		       "%s%" JSON_INTEGER_FORMAT " A/D bits lost%s\n",
		       sums.verified, sums.lost ? red : green, sums.lost, plain);
	fflush(stdout);
}
