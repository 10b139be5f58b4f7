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

/* As those of pvbatch(1). */
#define EXIT_FAILED 1
#define EXIT_USAGE 2
#define EXIT_HOST 3
#define EXIT_OUTPUT 6

enum key {
	KEY_JSON = 256,
	KEY_LIVE,
	KEY_CONFIG,
	KEY_MODULES
};

struct options {
	const char *uri, *command, *name, *value, *modules;
	bool json, live, config;
};

static const struct argp_option domain_options[] = {
	{ "connect", 'c', "URI", 0, "libvirt's. Default: qemu:///system", 0 },
	{ "json", KEY_JSON, NULL, 0, "(show) A JSON document", 0 },
	{ "live", KEY_LIVE, NULL, 0, "(set) The running domain alone", 0 },
	{ "config", KEY_CONFIG, NULL, 0, "(set) The domain's next start alone", 0 },
	{ "modules", KEY_MODULES, "DIR", 0,
	  "Where KVM's module parameters are. Default: /sys/module", 0 },
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
	case ARGP_KEY_ARG:
		if (!state->arg_num)
			options->command = arg;
		else if (state->arg_num == 1)
			options->name = arg;
		else if (state->arg_num == 2)
			options->value = arg;
		else
			argp_error(state, "'%s' is too much", arg);
		return 0;
	case ARGP_KEY_END:
		if (!options->name)
			argp_error(state, "show NAME, or set NAME on|off|default");
		else if (!strcmp(options->command, "show") && options->value)
			argp_error(state, "'%s' is too much", options->value);
		else if (!strcmp(options->command, "set") &&
			 (!options->value ||
			  (strcmp(options->value, "on") && strcmp(options->value, "off") &&
			   strcmp(options->value, "default"))))
			argp_error(state, "set NAME on, off or default");
		else if (strcmp(options->command, "show") && strcmp(options->command, "set"))
			argp_error(state, "'%s': there are show and set", options->command);
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
static const char *nested_paging(const char *modules)
{
	static const char *const names[] = { "kvm_intel/parameters/ept", "kvm_amd/parameters/npt" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		int first = parameter(modules, names[i]);

		if (first == 'Y' || first == '1')
			return names[i];
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
static bool get_wish(virDomainPtr domain, unsigned int flags, enum wish *wish)
{
	char *xml =
		virDomainGetMetadata(domain, VIR_DOMAIN_METADATA_ELEMENT, WISH_NAMESPACE, flags);

	*wish = WISH_NONE;
	if (!xml)
		return virGetLastErrorCode() == VIR_ERR_NO_DOMAIN_METADATA;
	*wish = wish_parse(xml, strlen(xml));
	free(xml);
	return true;
}

static int show(const struct options *options, virDomainPtr domain)
{
	bool active = virDomainIsActive(domain) == 1,
	     persistent = virDomainIsPersistent(domain) == 1;
	enum wish live = WISH_NONE, config = WISH_NONE;
	char uuid[VIR_UUID_STRING_BUFLEN] = "";
	json_t *document;

	if ((active && !get_wish(domain, VIR_DOMAIN_AFFECT_LIVE, &live)) ||
	    (persistent && !get_wish(domain, VIR_DOMAIN_AFFECT_CONFIG, &config)))
		return libvirt_failed("cannot read the metadata");
	virDomainGetUUIDString(domain, uuid);
	if (!options->json) {
		printf("domain      %s\nuuid        %s\n", virDomainGetName(domain), uuid);
		printf("running     %s\n", active ? words[live] : "-");
		printf("next start  %s\n", persistent ? words[config] : "-");
	} else {
		document = json_pack("{s:i, s:s, s:s, s:o, s:o}", "schema", 1, "name",
				     virDomainGetName(domain), "uuid", uuid, "live",
				     active ? json_string(words[live]) : json_null(), "config",
				     persistent ? json_string(words[config]) : json_null());
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

static int set(const struct options *options, virDomainPtr domain)
{
	const char *paging = nested_paging(options->modules);
	bool on = !strcmp(options->value, "on");
	const char *xml = NULL;
	unsigned int flags;

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
	if (strcmp(options->value, "default"))
		xml = on ? "<pvbatch enabled='yes'/>" : "<pvbatch enabled='no'/>";
	if (virDomainSetMetadata(domain, VIR_DOMAIN_METADATA_ELEMENT, xml, WISH_PREFIX,
				 WISH_NAMESPACE, flags) &&
	    /* Nothing to take away is nothing left. */
	    (xml || virGetLastErrorCode() != VIR_ERR_NO_DOMAIN_METADATA))
		return libvirt_failed("cannot write the metadata");
	return EXIT_SUCCESS;
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
		"Show or set whether a libvirt domain wants pvbatch, in its metadata: for the "
		"running domain and for its next start. pvbatchd turns KVM's switch accordingly."
		"\vExit codes: 0 done; 1 no such domain, or libvirt refused; 2 usage; 3 no "
		"libvirt, or nothing to win on this host; 6 a result could not be written.";
	static const struct argp argp = { .options = domain_options,
					  .parser = parse,
					  .args_doc = "show NAME\nset NAME on|off|default",
					  .doc = doc };
	static char name[] = "pvbatch domain";
	struct options options = { .uri = "qemu:///system", .modules = "/sys/module" };

	argp_err_exit_status = EXIT_USAGE;
	argv[0] = name;
	argp_parse(&argp, argc, argv, 0, NULL, &options);
	return run(&options);
}
