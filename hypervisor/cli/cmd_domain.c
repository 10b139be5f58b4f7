// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: command line - `pvbatch domain`: a program of its own (hypervisor/agent/domain.c),
 * so that nothing else needs libvirt's libraries.
 */
#include <stdlib.h>
#include <unistd.h>

#include <cli/cli.h>

int cmd_domain(int argc, char **argv)
{
	char *program = cli_find("pvbatch-domain", "../libexec/pvbatch/pvbatch-domain");

	(void)argc;
	if (program)
		execv(program, argv);
	cli_say("cannot start pvbatch-domain: %m; is pvbatch installed as a whole?");
	free(program);
	return CLI_HOST;
}
