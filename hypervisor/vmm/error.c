// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage: VMM - how a failure becomes one line for the user.
 */
#include <errno.h>
#include <stdarg.h>

#include <vmm/internal.h>

int vmm_error_set(struct vmm_error *error, enum vmm_fault fault, int code, const char *format, ...)
{
	va_list args;

	error->fault = fault;
	va_start(args, format);
	vsnprintf(error->text, sizeof(error->text), format, args);
	va_end(args);
	return -(code ? code : EIO);
}
