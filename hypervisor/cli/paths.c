// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: command line - where the things are that come with this program: relative to its
 * own file, so that a build tree and any installation prefix work alike.
 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cli/cli.h>

char *cli_self(void)
{
	return realpath("/proc/self/exe", NULL);
}

char *cli_find(const char *built, const char *installed)
{
	char *self = cli_self();
	const char *tries[] = { built, installed };
	char *slash, *path;

	if (!self)
		return NULL;
	slash = strrchr(self, '/');
	*slash = 0;
	for (size_t i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
		if (asprintf(&path, "%s/%s", self, tries[i]) < 0)
			abort();
		if (!access(path, R_OK)) {
			free(self);
			return path;
		}
		free(path);
	}
	free(self);
	return NULL;
}

int cli_find_guest(struct cli_options *options)
{
	const char *name = options->guest;
	char built[PATH_MAX], installed[PATH_MAX];

	if (strchr(name, '/') || !access(name, F_OK)) {
		options->image = strdup(name);
		if (!options->image)
			abort();
		if (access(name, R_OK)) {
			cli_say("cannot read guest %s: %m", name);
			return CLI_IMAGE;
		}
		return CLI_OK;
	}
	snprintf(built, sizeof(built), "guest/%s.elf", name);
	snprintf(installed, sizeof(installed), "../libexec/pvbatch/guest/%s.elf", name);
	options->image = cli_find(built, installed);
	if (options->image)
		return CLI_OK;
	cli_say("no guest '%s': neither a file nor a guest built with pvbatch (run make?)", name);
	return CLI_IMAGE;
}
