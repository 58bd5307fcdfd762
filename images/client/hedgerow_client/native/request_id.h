/* SPDX-License-Identifier: MIT */
/* Where the request id stands in a payload, and how it is written there: unsigned and big-endian. */
#ifndef HEDGEROW_REQUEST_ID_H
#define HEDGEROW_REQUEST_ID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MAX_ID_LENGTH 8

struct id_place {
	size_t offset, length;
};

static inline void write_id(uint8_t *payload, struct id_place place, uint64_t request_id)
{
	for (size_t byte = place.length; byte > 0; byte--) {
		payload[place.offset + byte - 1] = (uint8_t)request_id;
		request_id >>= 8;
	}
}

/* False where the payload is too short to hold an id. */
static inline bool read_id(const uint8_t *payload, size_t length, struct id_place place, uint64_t *request_id)
{
	if (length < place.offset + place.length)
		return false;
	*request_id = 0;
	for (size_t byte = 0; byte < place.length; byte++)
		*request_id = *request_id << 8 | payload[place.offset + byte];
	return true;
}

#endif
