/* SPDX-License-Identifier: MIT */
/* The proxy's clients, each with sockets of its own to the replicas.
 *
 * Two clients may use the same ids: by the socket that a response comes to, it is known whose it is. To the servers
 * they are two clients as well. */
#ifndef HEDGEROW_PROXY_SESSIONS_H
#define HEDGEROW_PROXY_SESSIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "replicas.h"
#include "udp.h"
#include "waiter.h"

#define NO_SESSION UINT32_MAX

struct session {
	struct address client;
	int sockets[MAX_REPLICAS]; /* -1 where none is needed */
	uint32_t flights;	   /* requests that have not expired */
	uint32_t next;		   /* in the chain of its bucket */
	int64_t used_ns;	   /* when it last sent a request */
};

struct sessions {
	const struct replicas *replicas;
	struct waiter *waiter;
	uint32_t first_tag; /* socket of session s and replica r is ready as first_tag + s * MAX_REPLICAS + r */
	struct session *entries;
	uint32_t *buckets;
	uint32_t count, capacity, bucket_mask;
	uint32_t spare; /* a place whose session could not be opened, or NO_SESSION */
	int64_t opened;
};

/* False where there is no memory. */
bool sessions_init(struct sessions *sessions, const struct replicas *replicas, struct waiter *waiter,
		   uint32_t first_tag, uint32_t capacity);

/* The session of `client`, made where there is none, if need be in place of the one that has been idle longest.
 * NO_SESSION where none is idle, or no sockets can be had. */
uint32_t sessions_of(struct sessions *sessions, const struct address *client, int64_t now_ns);

#endif
