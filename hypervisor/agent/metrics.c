// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: host agent - the VMs as Prometheus text (exposition format 0.0.4) and as JSON.
 */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <agent/daemon.h>

static const char *const states[] = {
	[VIRT_OFF] = "off", [VIRT_DOWN] = "down", [VIRT_UP] = "up", [VIRT_STUCK] = "stuck"
};

/* A quoted label value; names are printable ASCII already. */
static void put_quoted(FILE *out, const char *text)
{
	putc('"', out);
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			putc('\\', out);
		putc(*text, out);
	}
	putc('"', out);
}

static void put_labels(FILE *out, const struct agent_vm *vm)
{
	fputs("{vm=", out);
	put_quoted(out, vm->name);
	/* One process may have several VMs, under one name: no two series may be alike. */
	fprintf(out, ",backend=\"%s\",id=\"%d-%d\",uuid=", vm->backend == AGENT_KVM ? "kvm" : "vmm",
		(int)vm->pid, vm->backend == AGENT_KVM ? vm->fd : vm->socket);
	put_quoted(out, vm->uuid);
}

static void put_head(FILE *out, const char *name, const char *type, const char *help)
{
	fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void put_one(FILE *out, const char *name, const char *type, const char *help, double value)
{
	put_head(out, name, type, help);
	fprintf(out, "%s %.17g\n", name, value);
}

static void put_counters(FILE *out, const struct agent_list *list)
{
	for (unsigned int c = 0; c < NR_COUNTERS; c++) {
		char name[64];
		bool head = false;

		snprintf(name, sizeof(name), "pvbatch_%s_total", agent_counters[c].name);
		for (unsigned int i = 0; i < list->nr; i++) {
			const struct agent_vm *vm = &list->vms[i];

			if (!agent_knows(vm, (enum counter)c))
				continue;
			if (!head)
				put_head(out, name, "counter", agent_counters[c].help);
			head = true;
			fputs(name, out);
			put_labels(out, vm);
			fprintf(out, "} %llu\n", (unsigned long long)vm->value[c]);
		}
	}
}

static double calls_saved(const struct agent_vm *vm)
{
	return agent_figures(vm).calls_saved;
}

static double exits_saved(const struct agent_vm *vm)
{
	return agent_figures(vm).exits_saved;
}

/* Gauges: what is saved goes back where more is spent. */
static void put_saved(FILE *out, const struct agent_list *list, const char *name, const char *help,
		      double (*saved)(const struct agent_vm *vm))
{
	bool head = false;

	for (unsigned int i = 0; i < list->nr; i++) {
		double value = saved(&list->vms[i]);

		if (isnan(value))
			continue;
		if (!head)
			put_head(out, name, "gauge", help);
		head = true;
		fputs(name, out);
		put_labels(out, &list->vms[i]);
		fprintf(out, "} %.17g\n", value);
	}
}

static void put_hist(FILE *out, const struct agent_list *list)
{
	bool head = false;

	for (unsigned int i = 0; i < list->nr; i++) {
		const struct agent_vm *vm = &list->vms[i];
		unsigned long long sum = 0;

		if (!vm->has_hist)
			continue;
		if (!head)
			put_head(out, "pvbatch_batch_entries", "histogram",
				 "Finished batches by entries; the sum is of all entries answered");
		head = true;
		for (unsigned int b = 0; b < PVB_HIST_BUCKETS; b++) {
			sum += vm->hist[b];
			fputs("pvbatch_batch_entries_bucket", out);
			put_labels(out, vm);
			if (b + 1 < PVB_HIST_BUCKETS)
				fprintf(out, ",le=\"%u\"} %llu\n", (2U << b) - 1, sum);
			else
				fprintf(out, ",le=\"+Inf\"} %llu\n", sum);
		}
		fputs("pvbatch_batch_entries_sum", out);
		put_labels(out, vm);
		fprintf(out, "} %llu\npvbatch_batch_entries_count",
			(unsigned long long)vm->value[COUNTER_ENTRIES]);
		put_labels(out, vm);
		fprintf(out, "} %llu\n", sum);
	}
}

static void put_switches(FILE *out, const struct agent_list *list)
{
	bool head = false;

	for (unsigned int i = 0; i < list->nr; i++) {
		const struct agent_vm *vm = &list->vms[i];

		if (vm->on == AGENT_SWITCH_UNKNOWN)
			continue;
		if (!head)
			put_head(out, "pvbatch_enabled", "gauge",
				 "Whether the handler serves this VM: 1 or 0");
		head = true;
		fputs("pvbatch_enabled", out);
		put_labels(out, vm);
		fprintf(out, "} %d\n", vm->on == AGENT_SWITCH_ON);
	}
}

static void put_limits(FILE *out, const struct agent_list *list)
{
	for (unsigned int l = 0; l < NR_LIMITS; l++) {
		char name[64];
		bool head = false;

		snprintf(name, sizeof(name), "pvbatch_%s", agent_limits[l].key);
		for (unsigned int i = 0; i < list->nr; i++) {
			const struct agent_vm *vm = &list->vms[i];

			if (vm->limit[l] == LIMIT_UNSET)
				continue;
			if (!head)
				put_head(out, name, "gauge", agent_limits[l].help);
			head = true;
			fputs(name, out);
			put_labels(out, vm);
			fprintf(out, "} %u\n", vm->limit[l]);
		}
	}
}

static void put_wishes(FILE *out, const struct domains *domains)
{
	bool head = false;

	for (unsigned int i = 0; i < domains->nr; i++) {
		const struct domain *domain = &domains->domains[i];

		if (domain->want.wish == WISH_NONE)
			continue;
		if (!head)
			put_head(
				out, "pvbatch_domain_wish", "gauge",
				"What a running domain's metadata want: 1 on, 0 off, NaN nonsense");
		head = true;
		fputs("pvbatch_domain_wish{domain=", out);
		put_quoted(out, domain->name);
		fputs(",uuid=", out);
		put_quoted(out, domain->uuid);
		fprintf(out, "} %s\n",
			domain->want.wish == WISH_ON  ? "1" :
			domain->want.wish == WISH_OFF ? "0" :
							"NaN");
	}
}

static void put_agent(FILE *out, const struct daemon *daemon)
{
	put_head(out, "pvbatch_agent_info", "gauge", "This agent");
	fprintf(out, "pvbatch_agent_info{version=\"%s\"} 1\n", agent_release);
	put_one(out, "pvbatch_agent_vms", "gauge", "VMs with counters at the last scan",
		daemon->list.nr);
	put_one(out, "pvbatch_agent_silent_vms", "gauge",
		"VMs that did not answer at the last scan", daemon->list.silent);
	put_one(out, "pvbatch_agent_scans_total", "counter", "Scans", (double)daemon->scans);
	put_one(out, "pvbatch_agent_scan_seconds", "gauge", "How long the last scan took",
		daemon->scan_took);
	put_one(out, "pvbatch_agent_scan_age_seconds", "gauge", "How old these figures are",
		daemon->scans ? agent_now() - daemon->list.time : 0);
	put_one(out, "pvbatch_agent_switched_total", "counter",
		"Switches of VMs that this agent has turned", (double)daemon->switched);
	put_one(out, "pvbatch_agent_switch_errors_total", "counter",
		"Switches that it could not turn", (double)daemon->switch_errors);
	if (daemon->virt == VIRT_OFF)
		return;
	put_one(out, "pvbatch_agent_domains", "gauge", "Running domains that libvirt knows",
		daemon->domains.nr);
	put_one(out, "pvbatch_agent_libvirt_up", "gauge", "Whether libvirt answers",
		daemon->virt == VIRT_UP);
	put_one(out, "pvbatch_agent_libvirt_stuck_total", "counter",
		"Rounds of calls to libvirt that were given up", daemon->stuck);
}

char *metrics_text(struct daemon *daemon, size_t *bytes)
{
	char *text = NULL;
	FILE *out = open_memstream(&text, bytes);
	bool bad;

	if (!out)
		return NULL;
	pthread_mutex_lock(&daemon->lock);
	put_agent(out, daemon);
	put_counters(out, &daemon->list);
	put_saved(out, &daemon->list, "pvbatch_calls_saved",
		  "Hypercalls saved since the VM's start, against one for each PTE and flush",
		  calls_saved);
	put_saved(out, &daemon->list, "pvbatch_exits_saved",
		  "Estimate of the exits saved since the VM's start, against shadow paging without "
		  "pvbatch",
		  exits_saved);
	put_hist(out, &daemon->list);
	put_switches(out, &daemon->list);
	put_limits(out, &daemon->list);
	put_wishes(out, &daemon->domains);
	pthread_mutex_unlock(&daemon->lock);
	bad = ferror(out);
	if (fclose(out) || bad) {
		free(text);
		return NULL;
	}
	return text;
}

static char *dump(json_t *document, size_t *bytes)
{
	char *text = json_dumps(document, JSON_INDENT(1));

	json_decref(document);
	*bytes = text ? strlen(text) : 0;
	return text;
}

char *metrics_vms(struct daemon *daemon, size_t *bytes)
{
	json_t *document;

	pthread_mutex_lock(&daemon->lock);
	document = agent_json(&daemon->list, NULL);
	pthread_mutex_unlock(&daemon->lock);
	return dump(document, bytes);
}

static json_t *domain_json(const struct domain *domain)
{
	static const char *const wishes[] = {
		[WISH_NONE] = "none", [WISH_OFF] = "off", [WISH_ON] = "on", [WISH_BAD] = "bad"
	};
	json_t *object = json_pack("{s:s, s:s, s:s}", "name", domain->name, "uuid", domain->uuid,
				   "wish", wishes[domain->want.wish]);

	for (unsigned int i = 0; i < NR_LIMITS; i++)
		if (domain->want.limit[i] != LIMIT_UNSET)
			json_object_set_new(object, agent_limits[i].key,
					    json_integer(domain->want.limit[i]));
	return object;
}

static json_t *domains_json(const struct domains *domains)
{
	json_t *array = json_array();

	for (unsigned int i = 0; i < domains->nr; i++)
		json_array_append_new(array, domain_json(&domains->domains[i]));
	return array;
}

char *metrics_status(struct daemon *daemon, size_t *bytes)
{
	json_t *document;

	pthread_mutex_lock(&daemon->lock);
	document = json_pack(
		"{s:i, s:s, s:i, s:i, s:I, s:f, s:I, s:I, s:{s:s, s:s, s:i, s:b}, s:o}", "schema",
		1, "version", agent_release, "vms", (int)daemon->list.nr, "silent",
		(int)daemon->list.silent, "scans", (json_int_t)daemon->scans, "scan_seconds",
		daemon->scan_took, "switched", (json_int_t)daemon->switched, "switch_errors",
		(json_int_t)daemon->switch_errors, "libvirt", "state", states[daemon->virt],
		"error", daemon->virt_error, "given_up", (int)daemon->stuck, "more",
		daemon->domains.more, "domains", domains_json(&daemon->domains));
	pthread_mutex_unlock(&daemon->lock);
	return dump(document, bytes);
}
