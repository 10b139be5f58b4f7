// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: Linux tests - the host's word with QEMU, see qmp.h. What QEMU says by itself
 * (events) is left out: the host asks for the state it wants to know.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "qmp.h"

static json_t *receive(struct qmp *qmp)
{
	return json_loadf(qmp->in, JSON_DISABLE_EOF_CHECK, NULL);
}

json_t *qmp_do(struct qmp *qmp, const char *command, json_t *arguments)
{
	json_t *message = json_pack("{s:s}", "execute", command);
	json_t *result = NULL;

	if (arguments)
		json_object_set_new(message, "arguments", arguments);
	json_dumpf(message, qmp->out, JSON_COMPACT);
	fflush(qmp->out);
	json_decref(message);
	while ((message = receive(qmp))) {
		json_t *refusal = json_object_get(message, "error");

		result = json_object_get(message, "return");
		if (result || refusal) {
			json_incref(result);
			if (refusal)
				fprintf(stderr, "host: %s: %s\n", command,
					json_string_value(json_object_get(refusal, "desc")));
			json_decref(message);
			return result;
		}
		json_decref(message);
	}
	fprintf(stderr, "host: %s: QEMU has gone\n", command);
	return NULL;
}

void qmp_status(struct qmp *qmp, const char *command, char *text, size_t size)
{
	json_t *result = qmp_do(qmp, command, NULL);
	const char *status = json_string_value(json_object_get(result, "status"));

	snprintf(text, size, "%s", status ? status : "");
	json_decref(result);
}

int qmp_open(struct qmp *qmp, int fd)
{
	json_t *message;

	qmp->in = fdopen(fd, "r");
	qmp->out = fdopen(dup(fd), "w");
	if (!qmp->in || !qmp->out)
		return -1;
	message = receive(qmp);
	if (!message)
		return -1;
	json_decref(message);
	message = qmp_do(qmp, "qmp_capabilities", NULL);
	json_decref(message);
	return message ? 0 : -1;
}

void qmp_close(struct qmp *qmp)
{
	if (qmp->in)
		fclose(qmp->in);
	if (qmp->out)
		fclose(qmp->out);
}
