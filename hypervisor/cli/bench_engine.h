/* SPDX-License-Identifier: GPL-2.0-only */
/* Stage: command line - `pvbatch bench engine`, called by bench. */
#ifndef PVB_CLI_BENCH_ENGINE_H
#define PVB_CLI_BENCH_ENGINE_H

/*
 * cmd_bench_engine() - @argv: the subcommand's name and its own arguments. Returns an
 * exit code: 0 done; 1 a wrong answer, or with --check a broken promise; 2 usage; 6 the
 * results could not be written.
 */
int cmd_bench_engine(int argc, char **argv);

#endif /* PVB_CLI_BENCH_ENGINE_H */
