// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: command line - `pvbatch check`: what this machine has, what is missing and how to
 * get it, and whether batching page-table updates could win anything here.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cli/cli.h>
#include <cli/document.h>

static const char doc[] =
	"Say whether this machine can run pvbatch, what is missing, and whether there is anything to "
	"win.\v" CLI_EXIT_CODES;

enum verdict {
	YES,
	NO,
	NOTE
};

static json_t *lines; /* what was printed, for --json */

static void line(enum verdict verdict, const char *what, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void line(enum verdict verdict, const char *what, const char *format, ...)
{
	static const char *const words[] = { [YES] = "yes", [NO] = "NO", [NOTE] = "" };
	json_t *answer = verdict == NOTE ? json_null() : json_boolean(verdict == YES);
	va_list args;
	char *text;

	va_start(args, format);
	if (vasprintf(&text, format, args) < 0)
		abort();
	va_end(args);
	printf("%-26s %-4s %s\n", what, words[verdict], text);
	json_array_append_new(
		lines, json_pack("{s:s, s:o, s:s}", "what", what, "answer", answer, "text", text));
	free(text);
}

static void check_paging(const struct vmm_host *host)
{
	switch (host->paging) {
	case VMM_PAGING_SECOND_LEVEL:
		line(YES, "second-level paging",
		     "%s: guests' page-table writes do not trap, so batching them wins nothing "
		     "for guests of this host; the demo still shows what a hypercall costs",
		     host->module);
		return;
	case VMM_PAGING_SHADOW:
		line(NO, "second-level paging",
		     "%s shadows guests' page tables: there is something to win, with the handler "
		     "in the kernel",
		     host->module);
		return;
	case VMM_PAGING_UNKNOWN:
		break;
	}
	line(NOTE, "second-level paging", "unknown%s%s: neither kvm_intel nor kvm_amd",
	     *host->module ? ", driven by " : "", host->module);
}

/* Is /dev/kvm good enough for run and bench, the times included? */
static bool check_kvm(void)
{
	struct vmm_error error;
	struct vmm_host host;

	if (vmm_probe(&host, &error)) {
		line(NO, "/dev/kvm", "%s", error.text);
		return false;
	}
	line(YES, "/dev/kvm", "%s", *host.module ? host.module : "(module unknown)");
	line(host.native ? YES : NO, "guest code runs natively", "%.2f ns an instruction%s",
	     host.ns_per_insn,
	     host.native ? "" : ": each is emulated; small guests work, their times mean nothing");
	check_paging(&host);
	line(host.flush ? YES : NO, "flush from user space",
	     host.flush ? "one ioctl drops the translations of all vCPUs" :
			  "not to be had: guests flush by themselves (needs Linux 5.15 or later, "
			  "and not Hyper-V's nested TLB)");
	line(host.stats ? YES : NO, "KVM's exit statistics",
	     host.stats ? "all VM exits can be counted" :
			  "needs Linux 5.14 or later; only exits to user space are counted");
	return host.native && host.paging == VMM_PAGING_SECOND_LEVEL;
}

static bool have_program(const char *name)
{
	char path[512];
	const char *dirs = getenv("PATH");
	char *copy, *dir, *rest;
	bool found = false;

	if (asprintf(&copy, "%s:/usr/sbin:/sbin", dirs ? dirs : "/usr/bin:/bin") < 0)
		abort();
	for (dir = strtok_r(copy, ":", &rest); dir && !found; dir = strtok_r(NULL, ":", &rest)) {
		snprintf(path, sizeof(path), "%s/%s", dir, name);
		found = !access(path, X_OK);
	}
	free(copy);
	return found;
}

static bool check_testbed(void)
{
	static const struct {
		const char *program;
		const char *package;
	} needed[] = {
		{ "qemu-system-x86_64", "qemu-system-x86" },
		{ "busybox", "busybox-static" },
		{ "cpio", "cpio" },
		{ "modprobe", "kmod" },
		{ "setpriv", "util-linux" },
		{ "ldd", "libc-bin" },
		{ "xz", "xz-utils" },
		{ "bash", "bash" },
	};
	char missing[256] = "";
	char *script = cli_find("../tests/testbed/run-kvm", "../libexec/pvbatch/testbed/run-kvm");

	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++) {
		size_t used = strlen(missing);

		if (!have_program(needed[i].program))
			snprintf(missing + used, sizeof(missing) - used, " %s", needed[i].package);
	}
	if (*missing)
		line(NO, "testbed", "install the packages%s", missing);
	else if (!script)
		line(NO, "testbed", "its script run-kvm is not where pvbatch comes from");
	else
		line(YES, "testbed",
		     "KVM inside QEMU's emulation of AMD SVM (its kernel is fetched "
		     "by apt once)");
	free(script);
	return !*missing && script;
}

static bool check_guest(void)
{
	struct cli_options options;
	bool found;

	cli_options_init(&options);
	options.image = cli_find("guest/demo.elf", "../libexec/pvbatch/guest/demo.elf");
	found = options.image != NULL;
	line(found ? YES : NO, "demo guest", "%s", found ? options.image : "not built: make");
	cli_options_free(&options);
	return found;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	if (key != 'j')
		return ARGP_ERR_UNKNOWN;
	*(const char **)state->input = arg;
	return 0;
}

int cmd_check(int argc, char **argv)
{
	static const struct argp_option option_table[] = {
		{ "json", 'j', "FILE", 0, "write the answers there as JSON as well", 0 },
		{ 0 },
	};
	static const struct argp argp = { .options = option_table, .parser = parse, .doc = doc };
	const char *json = NULL, *backend = NULL;
	bool kvm, testbed, guest;
	json_t *document;
	int code;

	argp_parse(&argp, argc, argv, 0, NULL, &json);
	lines = json_array();
	kvm = check_kvm();
	testbed = check_testbed();
	guest = check_guest();
	line(have_program("gnuplot") ? YES : NO, "gnuplot",
	     "only for bench --plot (package gnuplot-nox)");
	if (guest && (kvm || testbed))
		backend = kvm ? "kvm" : "testbed";
	if (backend)
		printf("\n`pvbatch run` works here, on %s.\n", kvm ? "/dev/kvm" : "the testbed");
	else
		printf("\n`pvbatch run` does not work here: see NO above.\n");
	code = backend ? CLI_OK : CLI_HOST;
	document = document_head(backend ? backend : "none");
	json_object_set_new(document, "results", lines);
	if (json && document_write(document, json))
		code = CLI_OUTPUT;
	json_decref(document);
	return code;
}
