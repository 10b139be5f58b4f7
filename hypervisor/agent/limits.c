// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: host agent - which limits there are, and what numbers they may be. The text is what
 * somebody wrote into a domain's metadata: one form of a number is taken, no other.
 */
#include <agent/limits.h>
#include <pvbatch/abi.h>

const struct limit_info agent_limits[NR_LIMITS] = {
	[LIMIT_MAX_BATCH] = { .attribute = "max-batch",
			      .key = "max_batch",
			      .file = "pvbatch_max_batch",
			      .help = "Entries that one hypercall handles at most; 0: no limit",
			      .min = 1,
			      .max = PVB_MAX_ENTRIES(PVB_BUFFER_MAX) },
	[LIMIT_RATE] = { .attribute = "rate-limit",
			 .key = "rate_limit",
			 .file = "pvbatch_rate",
			 .help = "Hypercalls a second that are served at once; 0: no limit",
			 .min = 100,
			 .max = 10000000 },
};

bool limit_good(enum limit limit, uint64_t value)
{
	return !value || (value >= agent_limits[limit].min && value <= agent_limits[limit].max);
}

bool limit_parse(enum limit limit, const char *text, uint32_t *value)
{
	uint32_t number = 0;
	unsigned int digits;

	for (digits = 0; text[digits] >= '0' && text[digits] <= '9' && digits < 9; digits++)
		number = number * 10 + (uint32_t)(text[digits] - '0');
	if (!digits || text[digits] || (text[0] == '0' && digits > 1) || !limit_good(limit, number))
		return false;
	*value = number;
	return true;
}
