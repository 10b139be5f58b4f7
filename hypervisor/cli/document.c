// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: command line - results as JSON.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cli/document.h>

static const char *const mode_names[] = {
	[PVB_SUBMIT_PER_ENTRY] = "per-entry",
	[PVB_SUBMIT_BATCHED] = "batched",
	[PVB_SUBMIT_RANGE] = "range",
};

static const char *const end_names[] = {
	[VMM_END_NONE] = "none",
	[VMM_END_EXIT] = "exit",
	[VMM_END_HALT] = "halt",
	[VMM_END_TRIPLE_FAULT] = "triple-fault",
	[VMM_END_CRASH] = "crash",
	[VMM_END_TIMEOUT] = "timeout",
	[VMM_END_INTERRUPTED] = "interrupted",
	[VMM_END_HOST] = "host",
};

/* KVM's "unknown" is JSON's null. */
static json_t *known(uint64_t value)
{
	return value == ~0ULL ? json_null() : json_integer((json_int_t)value);
}

static json_t *cpu_model(void)
{
	char line[256];
	json_t *model = NULL;
	FILE *file = fopen("/proc/cpuinfo", "re");

	while (file && !model && fgets(line, sizeof(line), file)) {
		char *colon = strchr(line, ':');

		if (strncmp(line, "model name", 10) || !colon)
			continue;
		line[strcspn(line, "\n")] = 0;
		model = json_string(colon + 2);
	}
	if (file)
		fclose(file);
	return model ? model : json_null();
}

json_t *document_head(const char *backend)
{
	struct utsname name;

	uname(&name);
	return json_pack("{s:i, s:s, s:s, s:{s:s, s:o, s:i, s:s}, s:[]}", "schema", DOCUMENT_SCHEMA,
			 "version", cli_release, "git", cli_git, "host", "backend", backend, "cpu",
			 cpu_model(), "cpus", (int)sysconf(_SC_NPROCESSORS_ONLN), "kernel",
			 name.release, "results");
}

static const char *paging_name(enum vmm_paging paging)
{
	switch (paging) {
	case VMM_PAGING_SECOND_LEVEL:
		return "second-level";
	case VMM_PAGING_SHADOW:
		return "shadow";
	case VMM_PAGING_UNKNOWN:
		break;
	}
	return "unknown";
}

/* Text of the guest or the command line, which need not be UTF-8. */
static json_t *text(const char *raw)
{
	json_t *string = json_string(raw);

	return string ? string : json_string("(not UTF-8)");
}

static json_t *record(const struct pvb_record *r)
{
	const char *mode = r->mode <= PVB_SUBMIT_RANGE ? mode_names[r->mode] : "unknown";

	return json_pack(
		"{s:o, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:o, s:{s:f, s:f, s:f}, s:I, s:I, "
		"s:I, s:I}",
		"workload", text(r->workload), "mode", mode, "apply", r->apply ? "guest" : "host",
		"batch", (json_int_t)r->batch, "rounds", (json_int_t)r->rounds, "ptes",
		(json_int_t)r->ptes, "hypercalls", (json_int_t)r->hypercalls, "exits",
		(json_int_t)r->exits, "kvm_exits", known(r->kvm_exits), "ns_per_pte", "min",
		(double)r->ps_per_pte_min / 1e3, "median", (double)r->ps_per_pte_median / 1e3,
		"max", (double)r->ps_per_pte_max / 1e3, "ad_merged", (json_int_t)r->ad_merged,
		"ad_lost", (json_int_t)r->ad_lost, "conflicts", (json_int_t)r->conflicts,
		"verified", (json_int_t)r->verified);
}

static json_t *exits(const struct vmm_result *result)
{
	json_t *object = json_object();

	for (unsigned int i = 0; i < VMM_EXIT_KINDS; i++) {
		const char *name = vmm_exit_name(i);
		char number[16];

		if (!result->exits[i])
			continue;
		snprintf(number, sizeof(number), "%u", i);
		json_object_set_new(object, name ? name : number,
				    json_integer((json_int_t)result->exits[i]));
	}
	return object;
}

static json_t *engine(const struct pvb_host_stats *s)
{
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "calls",
			 (json_int_t)s->calls, "batches", (json_int_t)s->batches, "partial",
			 (json_int_t)s->partial, "failed", (json_int_t)s->failed, "entries",
			 (json_int_t)s->entries, "applied", (json_int_t)s->applied, "carried_a",
			 (json_int_t)s->carried_a, "carried_d", (json_int_t)s->carried_d,
			 "conflicts", (json_int_t)s->conflicts, "refused", (json_int_t)s->refused,
			 "flush_range", (json_int_t)s->flush_range, "flush_all",
			 (json_int_t)s->flush_all);
}

json_t *document_new(const struct cli_options *options, const struct vmm_host *host)
{
	json_t *document = document_head(cli_in_testbed() ? "testbed" : "kvm");
	json_t *where = json_object_get(document, "host");

	json_object_set_new(where, "module", json_string(host->module));
	json_object_set_new(where, "paging", json_string(paging_name(host->paging)));
	json_object_set_new(where, "native", json_boolean(host->native));
	json_object_set_new(where, "ns_per_instruction", json_real(host->ns_per_insn));
	json_object_set_new(document, "guest",
			    json_pack("{s:o, s:i, s:i}", "name", text(options->guest), "cpus",
				      (int)options->cpus, "memory_mib", (int)options->memory));
	json_object_set_new(document, "runs", json_array());
	return document;
}

void document_add(json_t *document, const char *cmdline, const struct vmm_result *result)
{
	json_t *results = json_object_get(document, "results");

	json_array_append_new(json_object_get(document, "runs"),
			      json_pack("{s:o, s:{s:s, s:i, s:f}, s:o, s:o, s:o}", "cmdline",
					text(cmdline), "end", "how", end_names[result->end], "code",
					(int)result->code, "seconds", result->seconds, "exits",
					exits(result), "kvm_exits", known(result->kvm_exits),
					"engine", engine(&result->stats)));
	for (unsigned int i = 0; i < result->nr_records; i++)
		json_array_append_new(results, record(&result->records[i]));
}

void document_sum(const json_t *document, struct document_sums *sums)
{
	const json_t *results = json_object_get(document, "results");
	const json_t *result;
	size_t i;

	memset(sums, 0, sizeof(*sums));
	json_array_foreach(results, i, result)
	{
		sums->results++;
		sums->verified += json_integer_value(json_object_get(result, "verified"));
		sums->lost += json_integer_value(json_object_get(result, "ad_lost"));
		sums->merged += json_integer_value(json_object_get(result, "ad_merged"));
		sums->conflicts += json_integer_value(json_object_get(result, "conflicts"));
	}
}

static int cannot_write(const char *path)
{
	cli_say("cannot write %s: %s", path, strerror(errno));
	return CLI_OUTPUT;
}

int document_writable(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);

	if (fd < 0)
		return cannot_write(path);
	close(fd);
	return CLI_OK;
}

int document_write(const json_t *document, const char *path)
{
	FILE *file;
	int bad;

	file = fopen(path, "we");
	if (!file)
		return cannot_write(path);
	bad = json_dumpf(document, file, JSON_INDENT(2));
	bad |= fputc('\n', file) == EOF;
	bad |= fflush(file);
	/* A full disk may show no earlier than here. */
	bad |= fclose(file);
	return bad ? cannot_write(path) : CLI_OK;
}
