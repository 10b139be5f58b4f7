// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: host agent - `pvbatch domain`: reads and writes what a libvirt domain's metadata say.
 *
 * A program of its own, which pvbatch(1) starts: it is the only command that needs libvirt,
 * whose libraries are many and large.
 */
#include <argp.h>
#include <errno.h>
#include <jansson.h>
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <agent/wish.h>
#include <vmm/vendor.h>

/* As those of pvbatch(1). */
#define EXIT_FAILED 1
#define EXIT_USAGE 2
#define EXIT_HOST 3
#define EXIT_OUTPUT 6

#define MODULES "/sys/module"

enum key {
	KEY_JSON = 256,
	KEY_LIVE,
	KEY_CONFIG,
	KEY_MODULES,
	KEY_LIMIT /* + enum limit */
};

/* What `set` does about one limit. */
struct limit_change {
	bool given;
	uint32_t value; /* LIMIT_UNSET: it is taken back */
};

struct options {
	const char *uri, *command, *name, *value, *modules;
	struct limit_change limit[NR_LIMITS];
	bool json, live, config;
};

static const struct argp_option domain_options[] = {
	{ "connect", 'c', "URI", 0, "libvirt's. Default: qemu:///system", 0 },
	{ "json", KEY_JSON, NULL, 0, "(show) A JSON document", 0 },
	{ "live", KEY_LIVE, NULL, 0, "(set) The running domain alone", 0 },
	{ "config", KEY_CONFIG, NULL, 0, "(set) The domain's next start alone", 0 },
	{ "max-batch", KEY_LIMIT + LIMIT_MAX_BATCH, "N", 0,
	  "(set) Entries that one hypercall handles: 1 to 2046, 0 for no limit, or default", 0 },
	{ "rate-limit", KEY_LIMIT + LIMIT_RATE, "N", 0,
	  "(set) Hypercalls a second: 100 to 10000000, 0 for no limit, or default", 0 },
	{ "modules", KEY_MODULES, "DIR", 0, "Where KVM's module parameters are. Default: " MODULES,
	  0 },
	{ 0 }
};

static void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void say(const char *format, ...)
{
	va_list args;

	fputs("pvbatch: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
}

static void take_limit(struct argp_state *state, struct options *options, enum limit limit,
		       const char *text)
{
	const struct limit_info *info = &agent_limits[limit];
	struct limit_change *change = &options->limit[limit];

	change->given = true;
	change->value = LIMIT_UNSET;
	if (strcmp(text, "default") && !limit_parse(limit, text, &change->value))
		argp_error(state, "--%s %s: %u to %u, 0 for no limit, or default", info->attribute,
			   text, info->min, info->max);
}

static void take_word(struct argp_state *state, struct options *options, char *word)
{
	switch (state->arg_num) {
	case 0:
		options->command = word;
		break;
	case 1:
		options->name = word;
		break;
	case 2:
		options->value = word;
		break;
	default:
		argp_error(state, "'%s' is too much", word);
	}
}

static void check_words(struct argp_state *state, const struct options *options)
{
	const char *value = options->value;
	bool limits = false;

	for (unsigned int i = 0; i < NR_LIMITS; i++)
		limits |= options->limit[i].given;
	if (!options->name)
		argp_error(state, "show NAME, or set NAME on|off|default");
	else if (!strcmp(options->command, "show") && (value || limits))
		argp_error(state, "show takes a NAME alone");
	else if (!strcmp(options->command, "set") &&
		 (value ? strcmp(value, "on") && strcmp(value, "off") && strcmp(value, "default") :
			  !limits))
		argp_error(state, "set NAME on, off or default, or a limit");
	else if (strcmp(options->command, "show") && strcmp(options->command, "set"))
		argp_error(state, "'%s': there are show and set", options->command);
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *options = state->input;

	switch (key) {
	case 'c':
		options->uri = arg;
		return 0;
	case KEY_JSON:
		options->json = true;
		return 0;
	case KEY_LIVE:
		options->live = true;
		return 0;
	case KEY_CONFIG:
		options->config = true;
		return 0;
	case KEY_MODULES:
		options->modules = arg;
		return 0;
	case KEY_LIMIT + LIMIT_MAX_BATCH:
	case KEY_LIMIT + LIMIT_RATE:
		take_limit(state, options, (enum limit)(key - KEY_LIMIT), arg);
		return 0;
	case ARGP_KEY_ARG:
		take_word(state, options, arg);
		return 0;
	case ARGP_KEY_END:
		check_words(state, options);
		return 0;
	}
	return ARGP_ERR_UNKNOWN;
}

/* First character of a module's parameter, or 0. */
static int parameter(const char *modules, const char *name)
{
	char path[512];
	FILE *file;
	int first;

	snprintf(path, sizeof(path), "%s/%s", modules, name);
	file = fopen(path, "re");
	if (!file)
		return 0;
	first = fgetc(file);
	fclose(file);
	return first == EOF ? 0 : first;
}

/* The parameter that says that this host's guests run on nested paging, or NULL. */
static const char *nested_paging(const struct options *options)
{
	static const struct {
		const char *parameter;
		unsigned int vendor;
	} modules[] = { { "kvm_intel/parameters/ept", VENDOR_INTEL },
			{ "kvm_amd/parameters/npt", VENDOR_AMD } };

	/* Parameters that are elsewhere are those of another machine. */
	bool here = !strcmp(options->modules, MODULES);

	for (size_t i = 0; i < sizeof(modules) / sizeof(modules[0]); i++) {
		int first = parameter(options->modules, modules[i].parameter);

		if ((first == 'Y' || first == '1') && !(here && vendor_other(modules[i].vendor)))
			return modules[i].parameter;
	}
	return NULL;
}

static int libvirt_failed(const char *what)
{
	say("%s: %s", what, virGetLastErrorMessage());
	return EXIT_FAILED;
}

static const char *const words[] = {
	[WISH_NONE] = "default", [WISH_OFF] = "off", [WISH_ON] = "on", [WISH_BAD] = "not understood"
};

/* What the metadata say, @flags: live or config. False: libvirt cannot tell. */
static bool get_want(virDomainPtr domain, unsigned int flags, struct want *want)
{
	char *xml =
		virDomainGetMetadata(domain, VIR_DOMAIN_METADATA_ELEMENT, WISH_NAMESPACE, flags);

	*want = want_nothing(WISH_NONE);
	if (!xml)
		return virGetLastErrorCode() == VIR_ERR_NO_DOMAIN_METADATA;
	*want = wish_parse(xml, strlen(xml));
	free(xml);
	return true;
}

static void print_want(const char *label, bool there, const struct want *want)
{
	printf("%-11s %s", label, there ? words[want->wish] : "-");
	for (unsigned int i = 0; there && i < NR_LIMITS; i++)
		if (want->limit[i] != LIMIT_UNSET)
			printf(", %s %u", agent_limits[i].attribute, want->limit[i]);
	putchar('\n');
}

static json_t *limits_json(bool there, const struct want *want)
{
	json_t *object = there ? json_object() : json_null();

	for (unsigned int i = 0; there && i < NR_LIMITS; i++)
		json_object_set_new(object, agent_limits[i].key,
				    want->limit[i] == LIMIT_UNSET ? json_null() :
								    json_integer(want->limit[i]));
	return object;
}

static int show(const struct options *options, virDomainPtr domain)
{
	bool active = virDomainIsActive(domain) == 1,
	     persistent = virDomainIsPersistent(domain) == 1;
	struct want live = want_nothing(WISH_NONE), config = live;
	char uuid[VIR_UUID_STRING_BUFLEN] = "";
	json_t *document;

	if ((active && !get_want(domain, VIR_DOMAIN_AFFECT_LIVE, &live)) ||
	    (persistent && !get_want(domain, VIR_DOMAIN_AFFECT_CONFIG, &config)))
		return libvirt_failed("cannot read the metadata");
	virDomainGetUUIDString(domain, uuid);
	if (!options->json) {
		printf("domain      %s\nuuid        %s\n", virDomainGetName(domain), uuid);
		print_want("running", active, &live);
		print_want("next start", persistent, &config);
	} else {
		document = json_pack("{s:i, s:s, s:s, s:o, s:o, s:o, s:o}", "schema", 1, "name",
				     virDomainGetName(domain), "uuid", uuid, "live",
				     active ? json_string(words[live.wish]) : json_null(), "config",
				     persistent ? json_string(words[config.wish]) : json_null(),
				     "live_limits", limits_json(active, &live), "config_limits",
				     limits_json(persistent, &config));
		json_dumpf(document, stdout, JSON_INDENT(2));
		putchar('\n');
		json_decref(document);
	}
	if (!fflush(stdout))
		return EXIT_SUCCESS;
	say("cannot write: %s", strerror(errno));
	return EXIT_OUTPUT;
}

/* Where to write: what was asked for, or all that the domain has. 0 with one line said. */
static unsigned int where(const struct options *options, virDomainPtr domain)
{
	bool active = virDomainIsActive(domain) == 1,
	     persistent = virDomainIsPersistent(domain) == 1;
	bool both = options->live == options->config;

	if (options->live && !active) {
		say("domain '%s' is not running", options->name);
		return 0;
	}
	if (options->config && !persistent) {
		say("domain '%s' is transient: it has no next start", options->name);
		return 0;
	}
	return ((both || options->live) && active ? VIR_DOMAIN_AFFECT_LIVE : 0) |
	       ((both || options->config) && persistent ? VIR_DOMAIN_AFFECT_CONFIG : 0);
}

/* What is there, changed as the options say: `default` takes all of it back first. */
static struct want change(const struct options *options, struct want want)
{
	if (want.wish == WISH_BAD || (options->value && !strcmp(options->value, "default")))
		want = want_nothing(WISH_NONE);
	if (options->value && strcmp(options->value, "default"))
		want.wish = strcmp(options->value, "on") ? WISH_OFF : WISH_ON;
	for (unsigned int i = 0; i < NR_LIMITS; i++)
		if (options->limit[i].given)
			want.limit[i] = options->limit[i].value;
	return want;
}

/* The element as text, or NULL if it says nothing; free(). */
static char *make_element(const struct want *want)
{
	char *text = NULL;
	size_t bytes = 0;
	FILE *out = open_memstream(&text, &bytes);
	bool empty = want->wish == WISH_NONE;

	if (!out)
		abort();
	fputs("<pvbatch", out);
	if (want->wish != WISH_NONE)
		fprintf(out, " enabled='%s'", want->wish == WISH_ON ? "yes" : "no");
	for (unsigned int i = 0; i < NR_LIMITS; i++) {
		if (want->limit[i] == LIMIT_UNSET)
			continue;
		fprintf(out, " %s='%u'", agent_limits[i].attribute, want->limit[i]);
		empty = false;
	}
	fputs("/>", out);
	if (fclose(out))
		abort();
	if (!empty)
		return text;
	free(text);
	return NULL;
}

/* @flags: live or config, one of them: they may say different things. */
static int set_one(const struct options *options, virDomainPtr domain, unsigned int flags)
{
	struct want want;
	char *xml;
	int rc;

	if (!get_want(domain, flags, &want))
		return libvirt_failed("cannot read the metadata");
	want = change(options, want);
	xml = make_element(&want);
	rc = virDomainSetMetadata(domain, VIR_DOMAIN_METADATA_ELEMENT, xml, WISH_PREFIX,
				  WISH_NAMESPACE, flags);
	/* Nothing to take away is nothing left. */
	if (rc && !xml && virGetLastErrorCode() == VIR_ERR_NO_DOMAIN_METADATA)
		rc = 0;
	free(xml);
	return rc ? libvirt_failed("cannot write the metadata") : EXIT_SUCCESS;
}

static int set(const struct options *options, virDomainPtr domain)
{
	const char *paging = nested_paging(options);
	bool on = options->value && !strcmp(options->value, "on");
	unsigned int flags;
	int code = EXIT_SUCCESS;

	if (on && paging) {
		say("refused: nested paging is on (%s/%s), so a guest's page-table writes do not "
		    "trap and there is nothing to win",
		    options->modules, paging);
		return EXIT_HOST;
	}
	if (on && !parameter(options->modules, "kvm/parameters/pvbatch"))
		say("note: this host's KVM has no pvbatch handler; the wish is written all the same");
	flags = where(options, domain);
	if (!flags)
		return EXIT_FAILED;
	if (flags & VIR_DOMAIN_AFFECT_LIVE)
		code = set_one(options, domain, VIR_DOMAIN_AFFECT_LIVE);
	if (!code && flags & VIR_DOMAIN_AFFECT_CONFIG)
		code = set_one(options, domain, VIR_DOMAIN_AFFECT_CONFIG);
	return code;
}

static void no_message(void *ctx, virErrorPtr error)
{
	(void)ctx;
	(void)error;
}

static int run(const struct options *options)
{
	bool writes = !strcmp(options->command, "set");
	virConnectPtr connection;
	virDomainPtr domain;
	int code;

	virSetErrorFunc(NULL, no_message);
	connection = writes ? virConnectOpen(options->uri) : virConnectOpenReadOnly(options->uri);
	if (!connection) {
		say("no connection to libvirt (%s): %s", options->uri, virGetLastErrorMessage());
		return EXIT_HOST;
	}
	domain = virDomainLookupByName(connection, options->name);
	if (!domain && virGetLastErrorCode() == VIR_ERR_NO_DOMAIN) {
		say("no domain '%s'", options->name);
		code = EXIT_FAILED;
	} else if (!domain) {
		code = libvirt_failed("cannot look for the domain");
	} else {
		code = writes ? set(options, domain) : show(options, domain);
		virDomainFree(domain);
	}
	virConnectClose(connection);
	return code;
}

int main(int argc, char **argv)
{
	static const char doc[] =
		"Show or set whether a libvirt domain wants pvbatch, and within which limits, in its "
		"metadata: for the running domain and for its next start. pvbatchd sets KVM's switch "
		"and limits accordingly.\vA limit that is not given stays as it is; `default` takes "
		"all back.\n\nExit codes: 0 done; 1 no such domain, or libvirt refused; 2 usage; 3 no "
		"libvirt, or nothing to win on this host; 6 a result could not be written.";
	static const struct argp argp = { .options = domain_options,
					  .parser = parse,
					  .args_doc = "show NAME\nset NAME [on|off|default]",
					  .doc = doc };
	static char name[] = "pvbatch domain";
	struct options options = { .uri = "qemu:///system", .modules = MODULES };

	argp_err_exit_status = EXIT_USAGE;
	argv[0] = name;
	argp_parse(&argp, argc, argv, 0, NULL, &options);
	return run(&options);
}
