// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: command line - ns per PTE against PTEs per hypercall, drawn by gnuplot.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cli/document.h>

#define MAX_SERIES 16U

/* Dark enough on white, and told apart by the colour-blind. */
static const char *const colours[] = { "#0072b2", "#d55e00", "#009e73",
				       "#cc79a7", "#56b4e9", "#404040" };
#define COLOURS (sizeof(colours) / sizeof(colours[0]))

/* A line of the plot: the results of one workload, mode and way of applying. */
struct series {
	char name[64];
	unsigned int points;
};

static double real(const json_t *row, const char *key)
{
	return json_number_value(json_object_get(json_object_get(row, "ns_per_pte"), key));
}

/* PTEs per hypercall, as it was, not as it was meant. 0: not to be drawn. */
static double per_call(const json_t *row)
{
	json_int_t calls = json_integer_value(json_object_get(row, "hypercalls"));
	json_int_t ptes = json_integer_value(json_object_get(row, "ptes"));

	return calls > 0 && real(row, "min") > 0 ? (double)ptes / (double)calls : 0;
}

static void series_name(const json_t *row, char *name, size_t bytes)
{
	snprintf(name, bytes, "%s, %s, %s applies",
		 json_string_value(json_object_get(row, "workload")),
		 json_string_value(json_object_get(row, "mode")),
		 json_string_value(json_object_get(row, "apply")));
	/* It goes into a quoted string of gnuplot's. */
	for (char *c = name; *c; c++)
		if (*c == '"' || *c == '\\' || *c == '\n')
			*c = '?';
}

static unsigned int find_series(const json_t *results, struct series *series)
{
	unsigned int nr = 0;
	const json_t *row;
	size_t i;

	json_array_foreach(results, i, row)
	{
		char name[sizeof(series->name)];
		unsigned int s = 0;

		if (!per_call(row))
			continue;
		series_name(row, name, sizeof(name));
		while (s < nr && strcmp(series[s].name, name))
			s++;
		if (s == MAX_SERIES)
			continue;
		if (s == nr) {
			memcpy(series[nr].name, name, sizeof(name));
			series[nr++].points = 0;
		}
		series[s].points++;
	}
	return nr;
}

static void write_script(FILE *out, const json_t *document, const struct series *series,
			 unsigned int nr)
{
	const json_t *host = json_object_get(document, "host");
	const json_t *results = json_object_get(document, "results");
	const json_t *row;
	size_t i;

	for (unsigned int s = 0; s < nr; s++) {
		fprintf(out, "$series%u << EOD\n", s);
		json_array_foreach(results, i, row)
		{
			char name[sizeof(series->name)];

			series_name(row, name, sizeof(name));
			if (per_call(row) && !strcmp(name, series[s].name))
				fprintf(out, "%.3f %.3f %.3f %.3f\n", per_call(row),
					real(row, "median"), real(row, "min"), real(row, "max"));
		}
		fputs("EOD\n", out);
	}
	fprintf(out,
		"set terminal svg size 960,640 font 'sans-serif,14' background '#ffffff'\n"
		"set logscale x 2\nset logscale y 10\n"
		"set xlabel 'PTEs per hypercall (batch size)'\n"
		"set ylabel 'ns per PTE (median; bars: min to max)'\n"
		"set title \"Cost of a page-table update, %s backend, pvbatch %s\"\n"
		"set format x '%%.0f'\nset format y '%%.0f'\n"
		"set grid xtics ytics mytics lc rgb '#dddddd'\n"
		"set key outside below center maxcols 2\n"
		"set xrange [0.8:*]\nset offsets graph 0, graph 0.04\n"
		"plot ",
		json_string_value(json_object_get(host, "backend")), cli_git);
	for (unsigned int s = 0; s < nr; s++)
		fprintf(out,
			"%s$series%u using 1:2:3:4 with yerrorlines lw 2 pt %u lc rgb '%s' "
			"title \"%s\"",
			s ? ", " : "", s, 4 + s, colours[s % COLOURS], series[s].name);
	fputc('\n', out);
}

int plot_gnuplot(const char *path, void (*script)(void *ctx, FILE *out), void *ctx)
{
	char *command = NULL;
	struct stat st;
	FILE *gnuplot;
	int status;

	if (system("command -v gnuplot >/dev/null")) {
		cli_say("no plot: gnuplot is missing, install the package gnuplot-nox");
		return CLI_HOST;
	}
	/* The file's name goes through the environment: no quoting can go wrong. */
	setenv("PVBATCH_PLOT", path, 1);
	if (asprintf(&command, "exec gnuplot - >\"$PVBATCH_PLOT\"") < 0)
		abort();
	gnuplot = popen(command, "we");
	free(command);
	if (!gnuplot) {
		cli_say("no plot: cannot start gnuplot: %m");
		return CLI_HOST;
	}
	script(ctx, gnuplot);
	status = pclose(gnuplot);
	if (status || stat(path, &st) || !st.st_size) {
		cli_say("cannot write %s: gnuplot failed (disk full?)", path);
		return CLI_OUTPUT;
	}
	return CLI_OK;
}

struct plot {
	const json_t *document;
	struct series series[MAX_SERIES];
	unsigned int nr;
};

static void script(void *ctx, FILE *out)
{
	const struct plot *plot = ctx;

	write_script(out, plot->document, plot->series, plot->nr);
}

int plot_write(const json_t *document, const char *path)
{
	struct plot plot = { .document = document };

	plot.nr = find_series(json_object_get(document, "results"), plot.series);
	if (!plot.nr) {
		cli_say("nothing to plot: no result has both times and hypercalls");
		return CLI_FAILED;
	}
	return plot_gnuplot(path, script, &plot);
}
