/* SPDX-License-Identifier: MIT */
/* The requests in flight, found by client and id, each with a copy of its datagram for the hedge.
 *
 * A fixed number of places, so memory is bounded whatever comes in. One that was taken is given back when its request
 * expires, answered or not: until then the loser of a hedge must be known as such. */
#ifndef HEDGEROW_PROXY_FLIGHTS_H
#define HEDGEROW_PROXY_FLIGHTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NO_FLIGHT UINT32_MAX

struct flight {
	uint64_t request_id;
	int64_t sent_ns;
	uint32_t client;  /* the session's number */
	uint32_t length;  /* of the datagram */
	uint32_t asked;	  /* the replica */
	uint32_t next;	  /* in the chain of its bucket, or of the free places */
	bool listed;	  /* can be found; not any more once its id is used again */
	bool hedged, answered, loser_dropped;
};

struct flights {
	struct flight *entries;
	uint8_t *datagrams;
	uint32_t *buckets;
	size_t longest;
	uint32_t bucket_mask, free;
};

/* False where there is no memory for `capacity` requests of up to `longest` bytes. */
bool flights_init(struct flights *flights, uint32_t capacity, size_t longest);

/* The number of the request, or NO_FLIGHT. */
uint32_t flights_find(const struct flights *flights, uint32_t client, uint64_t request_id);

/* Takes a place for a request; NO_FLIGHT where all are taken. `datagram` has at most `longest` bytes. */
uint32_t flights_add(struct flights *flights, uint32_t client, uint64_t request_id, const uint8_t *datagram,
		     size_t length);

const uint8_t *flights_datagram(const struct flights *flights, uint32_t number);

/* Lets the id be used again; the place stays taken. */
void flights_unlist(struct flights *flights, uint32_t number);

/* Gives the place back. */
void flights_free(struct flights *flights, uint32_t number);

#endif
