// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: command line - `pvbatch top`: the counters of this machine's VMs, live.
 *
 * One thread: a key, a new size of the terminal or the end of the interval makes a turn,
 * and a turn draws everything. Reading takes a second at most (agent_scan()). Signals that end
 * it are let in while it waits alone, so that the terminal is always given back as it was.
 */
#include <curses.h>
#include <errno.h>
#include <locale.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cli/cli.h>
#include <cli/figures.h>

enum key {
	OPTION_KVM = 256
};

static const struct argp_option top_options[] = {
	{ "interval", 'i', "SECONDS", 0, "Between two looks. Default: 2", 0 },
	{ "kvm-debugfs", OPTION_KVM, "DIR", 0, "KVM's directory. Default: " AGENT_KVM_DEBUGFS, 0 },
	{ 0 }
};

static const enum counter sorts[] = { COUNTER_PTES, COUNTER_CALLS, COUNTER_FLUSHES, COUNTER_EXITS };
#define NR_SORTS (sizeof(sorts) / sizeof(sorts[0]))

struct top {
	struct agent_sources sources;
	double interval;
	struct agent_list before, now;
	struct agent_vm *rates; /* what happened between the two, in the order shown */
	unsigned int *order; /* index in now of each of them */
	size_t sort; /* in sorts; NR_SORTS: by name */
	unsigned int selected, first; /* the marked row, the first one shown */
	bool details;
	int line; /* of the screen, while details are drawn */
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct top *top = state->input;
	char *end;

	switch (key) {
	case 'i':
		top->interval = strtod(arg, &end);
		if (*end || !(top->interval >= 0.1 && top->interval <= 3600))
			argp_error(state, "--interval %s: 0.1 to 3600 seconds", arg);
		return 0;
	case OPTION_KVM:
		top->sources.kvm = arg;
		return 0;
	case ARGP_KEY_ARG:
		argp_error(state, "'%s' is too much", arg);
		return 0;
	}
	return ARGP_ERR_UNKNOWN;
}

/* The rates of all VMs; insertion keeps VMs with equal figures in the order of names. */
static void arrange(struct top *top)
{
	unsigned int nr = top->now.nr;

	free(top->rates);
	free(top->order);
	top->rates = calloc(nr + 1, sizeof(*top->rates));
	top->order = calloc(nr + 1, sizeof(*top->order));
	if (!top->rates || !top->order)
		abort();
	for (unsigned int i = 0; i < nr; i++) {
		const struct agent_vm *vm = &top->now.vms[i];
		const struct agent_vm *earlier = agent_find(&top->before, vm);
		struct agent_vm rate = agent_since(vm, earlier ? earlier : vm);
		unsigned int at = i;

		for (; at && top->sort < NR_SORTS &&
		       top->rates[at - 1].value[sorts[top->sort]] < rate.value[sorts[top->sort]];
		     at--) {
			top->rates[at] = top->rates[at - 1];
			top->order[at] = top->order[at - 1];
		}
		top->rates[at] = rate;
		top->order[at] = i;
	}
	if (top->selected >= nr)
		top->selected = nr ? nr - 1 : 0;
}

static void look(struct top *top)
{
	struct agent_list list;

	agent_scan(&top->sources, &list);
	agent_list_free(&top->before);
	top->before = top->now;
	top->now = list;
	arrange(top);
}

static double seconds(const struct top *top)
{
	double passed = top->now.time - top->before.time;

	return top->before.time > 0 && passed > 0 ? passed : 1;
}

/* One line, cut at the width of the terminal. */
static void put(int y, const char *text, int attributes)
{
	if (y >= LINES || COLS <= 0)
		return;
	attrset(attributes);
	mvaddnstr(y, 0, text, COLS);
	/* A bar to the edge. */
	if (attributes & A_REVERSE)
		for (int x = (int)strlen(text); x < COLS; x++)
			addch(' ');
	attrset(A_NORMAL);
}

static void put_detail(void *ctx, const char *text)
{
	struct top *top = ctx;

	if (top->line < LINES - 1)
		put(top->line++, text, A_NORMAL);
}

static void draw_list(struct top *top)
{
	unsigned int rows = LINES > 4 ? (unsigned int)LINES - 4 : 1;
	char text[256];

	if (top->selected < top->first)
		top->first = top->selected;
	if (top->selected >= top->first + rows)
		top->first = top->selected - rows + 1;
	figure_row(text, sizeof(text), NULL, 1);
	put(2, text, A_REVERSE);
	for (unsigned int i = 0; i < rows && top->first + i < top->now.nr; i++) {
		figure_row(text, sizeof(text), &top->rates[top->first + i], seconds(top));
		put(3 + (int)i, text, top->first + i == top->selected ? A_BOLD : A_NORMAL);
	}
	if (!top->now.nr)
		put(3, "No VM is running, or none that can be seen.", A_NORMAL);
}

static void draw(struct top *top)
{
	char text[256];

	erase();
	snprintf(text, sizeof(text),
		 "pvbatch top - %u VMs, %u silent, every %g s, by %s, per second", top->now.nr,
		 top->now.silent, top->interval,
		 top->sort < NR_SORTS ? agent_counters[sorts[top->sort]].name : "name");
	put(0, text, A_BOLD);
	if (top->details && top->now.nr) {
		top->line = 2;
		figure_details(&top->now.vms[top->order[top->selected]], &top->rates[top->selected],
			       seconds(top), put_detail, top);
	} else {
		draw_list(top);
	}
	put(LINES - 1, "q quit  s sort  up/down select  enter one VM or all  space look now",
	    A_DIM);
	refresh();
}

/* Returns whether to go on. */
static bool key(struct top *top, int pressed, double *next)
{
	switch (pressed) {
	case 'q':
	case 'Q':
		return false;
	case 's':
		top->sort = (top->sort + 1) % (NR_SORTS + 1);
		arrange(top);
		break;
	case KEY_UP:
	case 'k':
		if (top->selected)
			top->selected--;
		break;
	case KEY_DOWN:
	case 'j':
		if (top->selected + 1 < top->now.nr)
			top->selected++;
		break;
	case '\n':
	case KEY_ENTER:
		top->details = !top->details;
		break;
	case ' ':
		*next = 0;
		break;
	default: /* a new size too: the next turn draws at it */
		break;
	}
	return true;
}

static volatile sig_atomic_t ended_by;

static void on_signal(int number)
{
	ended_by = number;
}

/* From here on signals that end it come while it waits, with the mask in @waiting. */
static void catch_signals(sigset_t *waiting)
{
	static const int numbers[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
	struct sigaction action = { .sa_handler = on_signal };
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		sigaction(numbers[i], &action, NULL);
		sigaddset(&set, numbers[i]);
	}
	/* A new size wakes as well. */
	sigaddset(&set, SIGWINCH);
	sigprocmask(SIG_BLOCK, &set, waiting);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		sigdelset(waiting, numbers[i]);
	sigdelset(waiting, SIGWINCH);
}

/* Wait for input, a signal, or @seconds. Whether the terminal is still there. */
static bool wait_for(double seconds, const sigset_t *waiting)
{
	struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };
	struct timespec time = { .tv_sec = (time_t)seconds,
				 .tv_nsec = (long)((seconds - floor(seconds)) * 1e9) };
	int ready = ppoll(&input, 1, &time, waiting);

	return ready < 0 ? errno == EINTR : !(input.revents & (POLLHUP | POLLERR | POLLNVAL));
}

static void run(struct top *top)
{
	double next = 0, left;
	sigset_t waiting;
	bool on = true;
	int pressed;

	catch_signals(&waiting);
	nodelay(stdscr, TRUE);
	while (on && !ended_by) {
		if (agent_now() >= next) {
			look(top);
			next = agent_now() + top->interval;
		}
		draw(top);
		left = next - agent_now();
		on = wait_for(left > 0 ? left : 0, &waiting);
		while (on && (pressed = getch()) != ERR)
			on = key(top, pressed, &next);
	}
}

int cmd_top(int argc, char **argv)
{
	static const char doc[] =
		"Show what this machine's VMs do, per second, as it goes on. Keys: q or Ctrl-C "
		"ends it, s sorts by another column, the arrows mark a VM, Enter shows all of its "
		"counters, the space bar looks at once.\v" CLI_EXIT_CODES;
	static const struct argp argp = { .options = top_options, .parser = parse, .doc = doc };
	struct top top = { .interval = 2, .sources.kvm = AGENT_KVM_DEBUGFS };
	SCREEN *screen;

	argp_parse(&argp, argc, argv, 0, NULL, &top);
	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)) {
		cli_say("top needs a terminal; `pvbatch stat --interval 2` does not");
		return CLI_USAGE;
	}
	top.sources = figure_sources(top.sources.kvm);
	setlocale(LC_ALL, "");
	screen = newterm(NULL, stdout, stdin);
	if (!screen) {
		cli_say("cannot use this terminal (TERM=%s)", getenv("TERM") ? getenv("TERM") : "");
		figure_sources_free(&top.sources);
		return CLI_HOST;
	}
	cbreak();
	noecho();
	keypad(stdscr, TRUE);
	curs_set(0);
	run(&top);
	endwin();
	delscreen(screen);
	agent_list_free(&top.before);
	agent_list_free(&top.now);
	free(top.rates);
	free(top.order);
	figure_sources_free(&top.sources);
	/* Who presses Ctrl-C has seen enough, as with q. */
	return ended_by && ended_by != SIGINT ? CLI_SIGNAL + ended_by : CLI_OK;
}
