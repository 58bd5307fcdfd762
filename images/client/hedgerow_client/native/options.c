/* SPDX-License-Identifier: MIT */
#include "options.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "replicas.h"
#include "request_id.h"

static bool read_integer(const char *text, int64_t minimum, int64_t maximum, int64_t *value)
{
	char *end;

	errno = 0;
	*value = strtoll(text, &end, 10);
	if (errno || end == text || *end)
		return false;
	return *value >= minimum && (maximum == 0 || *value <= maximum);
}

static bool read_place(const char *text, struct id_place *place)
{
	unsigned offset, length;
	char rest;

	if (sscanf(text, "%5u:%1u%c", &offset, &length, &rest) != 2)
		return false;
	place->offset = offset;
	place->length = length;
	return length >= 1 && length <= MAX_ID_LENGTH && offset + length <= MAX_PAYLOAD;
}

static bool read_replica(const char *text, struct replicas *replicas)
{
	if (replicas->count == MAX_REPLICAS)
		return false;
	return read_address(text, false, &replicas->addresses[replicas->count++]);
}

static bool read_value(const struct option_spec *option, const char *text)
{
	switch (option->kind) {
	case OPTION_INTEGER:
		return read_integer(text, option->minimum, option->maximum, option->value);
	case OPTION_TEXT:
		*(const char **)option->value = text;
		return *text != '\0';
	case OPTION_PLACE:
		return read_place(text, option->value);
	case OPTION_ADDRESS:
		return read_address(text, true, option->value);
	case OPTION_REPLICA:
		return read_replica(text, option->value);
	case OPTION_SPREAD:
		*(enum spread *)option->value = strcmp(text, "first") ? SPREAD_ROUND_ROBIN : SPREAD_FIRST;
		return !strcmp(text, "first") || !strcmp(text, "round-robin");
	case OPTION_TARGET:
		*(enum target *)option->value = strcmp(text, "same") ? TARGET_OTHER : TARGET_SAME;
		return !strcmp(text, "same") || !strcmp(text, "other");
	}
	return false;
}

static bool read_argument(const char *argument, struct option_spec *options, size_t count)
{
	for (size_t number = 0; number < count; number++) {
		struct option_spec *option = &options[number];
		size_t length = strlen(option->name);

		if (strncmp(argument, "--", 2) || strncmp(argument + 2, option->name, length) ||
		    argument[2 + length] != '=')
			continue;
		option->given = true;
		return read_value(option, argument + 2 + length + 1);
	}
	return false;
}

bool read_options(int argc, char **argv, struct option_spec *options, size_t count)
{
	for (int number = 1; number < argc; number++)
		if (!read_argument(argv[number], options, count)) {
			fprintf(stderr, "%s: wrong argument %s\n", argv[0], argv[number]);
			return false;
		}
	for (size_t number = 0; number < count; number++)
		if (!options[number].optional && !options[number].given) {
			fprintf(stderr, "%s: --%s= is missing\n", argv[0], options[number].name);
			return false;
		}
	return true;
}
