// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: command line - from options to a document of results, wherever they come from.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cli/document.h>

static int measure_one(const struct cli_options *options, const struct vmm_host *host,
		       const char *cmdline, json_t *document)
{
	struct vmm_result result;
	int code;

	code = cli_guest(options, host, cmdline, options->quiet ? -1 : STDOUT_FILENO, &result);
	if (code)
		return code;
	code = cli_result_code(&result);
	document_add(document, cmdline, &result);
	vmm_result_free(&result);
	return code;
}

/* One guest after the other, each with its part of @cmdlines, up to the first that fails. */
static int measure_here(const struct cli_options *options, const struct vmm_host *host,
			const char *cmdlines, json_t **document)
{
	char *copy = strdup(cmdlines), *rest = copy, *part;
	int code = CLI_OK;

	if (!copy)
		abort();
	*document = document_new(options, host);
	while (!code && (part = strsep(&rest, ";"))) {
		part += strspn(part, " ");
		code = measure_one(options, host, part, *document);
	}
	free(copy);
	return code;
}

static int measure_in_testbed(const struct cli_options *options, const char *cmdlines,
			      json_t **document)
{
	const char *dir = getenv("TMPDIR");
	json_error_t error;
	char *path = NULL;
	int code, fd;

	if (asprintf(&path, "%s/pvbatch-XXXXXX", dir && *dir ? dir : "/tmp") < 0)
		abort();
	fd = mkstemp(path);
	if (fd < 0) {
		cli_say("cannot make a file for the results in %s: %m; set TMPDIR", path);
		free(path);
		return CLI_OUTPUT;
	}
	close(fd);
	code = cli_testbed(options, cmdlines, path);
	*document = json_load_file(path, 0, &error);
	unlink(path);
	free(path);
	if (!*document && code == CLI_OK) {
		cli_say("the testbed brought back no results: %s", error.text);
		return CLI_HOST;
	}
	return code;
}

int cli_measure(const struct cli_options *options, const char *otherwise, json_t **document)
{
	const char *cmdlines = options->cmdline ? options->cmdline : otherwise;
	enum cli_backend backend;
	struct vmm_host host;
	int code;

	*document = NULL;
	code = cli_backend_choose(options->backend, &backend, &host);
	if (code)
		return code;
	if (backend == BACKEND_TESTBED)
		return measure_in_testbed(options, cmdlines, document);
	return measure_here(options, &host, cmdlines, document);
}
