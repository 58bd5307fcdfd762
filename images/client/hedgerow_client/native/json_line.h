/* SPDX-License-Identifier: MIT */
/* JSON objects, one a line, which is how a worker talks to its supervisor. */
#ifndef HEDGEROW_JSON_LINE_H
#define HEDGEROW_JSON_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One object being written; `overflow` once it did not fit, and then it is not sent. */
struct json_line {
	char text[4096];
	size_t length;
	bool overflow;
};

/* Begins {"event": event. A name of NULL adds to an array instead of an object. */
void json_begin(struct json_line *line, const char *event);
void json_text(struct json_line *line, const char *name, const char *value);
void json_integer(struct json_line *line, const char *name, int64_t value);
void json_integer_or_null(struct json_line *line, const char *name, int64_t value, bool is_null);
/* Nanoseconds as a number of microseconds. */
void json_microseconds(struct json_line *line, const char *name, int64_t value_ns);
void json_open(struct json_line *line, const char *name, char bracket);
void json_close(struct json_line *line, char bracket);

/* Ends the object and writes the line; false, with errno set, where it cannot be written. */
bool json_send(struct json_line *line, int fd);

/* Says {"event": "failed"} with errno's text in the words of Python's OSError; returns the exit code: 0 once it is
 * said, since a worker that ends with another has died. */
int tell_failure(int fd, int error);

#endif
