/* SPDX-License-Identifier: GPL-2.0-only */
/* Stage: lint - macros of jansson.h that cppcheck does not see, as it reads no system headers. */
#define json_array_foreach(array, index, value) for ((index) = 0, (value) = (array); (value);)
#define json_object_foreach(object, key, value) for ((key) = "", (value) = (object); (value);)
