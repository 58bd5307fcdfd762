/* SPDX-License-Identifier: MIT */
#include "json_line.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

__attribute__((format(printf, 2, 3))) static void add(struct json_line *line, const char *format, ...)
{
	size_t room = sizeof(line->text) - line->length;
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(line->text + line->length, room, format, arguments);
	va_end(arguments);
	if (length < 0 || (size_t)length >= room)
		line->overflow = true;
	else
		line->length += (size_t)length;
}

static void add_text(struct json_line *line, const char *text)
{
	add(line, "\"");
	for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
		if (*c == '"' || *c == '\\')
			add(line, "\\%c", *c);
		else if (*c < 0x20)
			add(line, "\\u%04x", *c);
		else
			add(line, "%c", *c);
	}
	add(line, "\"");
}

static void add_name(struct json_line *line, const char *name)
{
	char last = line->text[line->length - 1];

	if (last != '{' && last != '[')
		add(line, ",");
	if (name) {
		add_text(line, name);
		add(line, ":");
	}
}

void json_begin(struct json_line *line, const char *event)
{
	line->length = 0;
	line->overflow = false;
	add(line, "{");
	json_text(line, "event", event);
}

void json_text(struct json_line *line, const char *name, const char *value)
{
	add_name(line, name);
	add_text(line, value);
}

void json_integer(struct json_line *line, const char *name, int64_t value)
{
	add_name(line, name);
	add(line, "%" PRId64, value);
}

void json_integer_or_null(struct json_line *line, const char *name, int64_t value, bool is_null)
{
	if (!is_null) {
		json_integer(line, name, value);
		return;
	}
	add_name(line, name);
	add(line, "null");
}

void json_microseconds(struct json_line *line, const char *name, int64_t value_ns)
{
	uint64_t magnitude_ns = value_ns < 0 ? -(uint64_t)value_ns : (uint64_t)value_ns;

	add_name(line, name);
	add(line, "%s%" PRIu64 ".%03" PRIu64, value_ns < 0 ? "-" : "", magnitude_ns / 1000, magnitude_ns % 1000);
}

void json_open(struct json_line *line, const char *name, char bracket)
{
	add_name(line, name);
	add(line, "%c", bracket);
}

void json_close(struct json_line *line, char bracket)
{
	add(line, "%c", bracket);
}

bool json_send(struct json_line *line, int fd)
{
	add(line, "}\n");
	if (line->overflow) {
		errno = EOVERFLOW;
		return false;
	}
	for (size_t written = 0; written < line->length;) {
		ssize_t length = write(fd, line->text + written, line->length - written);

		if (length < 0 && errno != EINTR)
			return false;
		if (length > 0)
			written += (size_t)length;
	}
	return true;
}

int tell_failure(int fd, int error)
{
	struct json_line line;
	char text[256];

	snprintf(text, sizeof(text), "[Errno %d] %s", error, strerror(error));
	json_begin(&line, "failed");
	json_text(&line, "error", text);
	return json_send(&line, fd) ? 0 : 1;
}
