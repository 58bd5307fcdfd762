/* SPDX-License-Identifier: MIT */
#include "proxy_sessions.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static uint32_t *bucket_of(const struct sessions *sessions, const struct address *client)
{
	const uint8_t *bytes = (const uint8_t *)&client->socket;
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (socklen_t byte = 0; byte < client->length; byte++)
		hash = (hash ^ bytes[byte]) * UINT64_C(0x100000001b3);
	return &sessions->buckets[(hash >> 32) & sessions->bucket_mask];
}

bool sessions_init(struct sessions *sessions, const struct replicas *replicas, struct waiter *waiter,
		   uint32_t first_tag, uint32_t capacity)
{
	uint32_t buckets = 1;

	while (buckets < capacity)
		buckets *= 2;
	*sessions = (struct sessions){.replicas = replicas,
				      .waiter = waiter,
				      .first_tag = first_tag,
				      .capacity = capacity,
				      .bucket_mask = buckets - 1,
				      .spare = NO_SESSION};
	sessions->entries = calloc(capacity, sizeof(*sessions->entries));
	sessions->buckets = malloc(buckets * sizeof(*sessions->buckets));
	if (!sessions->entries || !sessions->buckets)
		return false;
	memset(sessions->buckets, 0xff, buckets * sizeof(*sessions->buckets)); /* NO_SESSION, all of them */
	return true;
}

static bool same_address(const struct address *one, const struct address *other)
{
	return one->length == other->length && !memcmp(&one->socket, &other->socket, one->length);
}

static uint32_t find(const struct sessions *sessions, const struct address *client)
{
	uint32_t number = *bucket_of(sessions, client);

	while (number != NO_SESSION && !same_address(&sessions->entries[number].client, client))
		number = sessions->entries[number].next;
	return number;
}

static void close_sockets(struct session *session)
{
	for (uint32_t replica = 0; replica < MAX_REPLICAS; replica++) {
		if (session->sockets[replica] >= 0)
			close(session->sockets[replica]);
		session->sockets[replica] = -1;
	}
}

static bool open_sockets(const struct sessions *sessions, struct session *session, uint32_t number)
{
	const struct replicas *replicas = sessions->replicas;

	for (uint32_t replica = 0; replica < MAX_REPLICAS; replica++)
		session->sockets[replica] = -1;
	for (uint32_t replica = 0; replica < replicas->count; replica++) {
		uint32_t tag = sessions->first_tag + number * MAX_REPLICAS + replica;

		if (!replica_in_use(replicas, replica))
			continue;
		session->sockets[replica] = open_connected(&replicas->addresses[replica]);
		if (session->sockets[replica] < 0 ||
		    !waiter_watch(sessions->waiter, session->sockets[replica], tag)) {
			close_sockets(session);
			return false;
		}
	}
	return true;
}

/* The place of the session that has been idle longest, taken from it; NO_SESSION where none is idle. */
static uint32_t evict(struct sessions *sessions)
{
	uint32_t idlest = NO_SESSION, *link;

	for (uint32_t number = 0; number < sessions->count; number++) {
		const struct session *session = &sessions->entries[number];

		if (session->flights == 0 &&
		    (idlest == NO_SESSION || session->used_ns < sessions->entries[idlest].used_ns))
			idlest = number;
	}
	if (idlest == NO_SESSION)
		return NO_SESSION;
	close_sockets(&sessions->entries[idlest]);
	link = bucket_of(sessions, &sessions->entries[idlest].client);
	while (*link != idlest)
		link = &sessions->entries[*link].next;
	*link = sessions->entries[idlest].next;
	return idlest;
}

/* A place for another session. */
static uint32_t take_place(struct sessions *sessions)
{
	uint32_t place = sessions->spare;

	sessions->spare = NO_SESSION;
	if (place != NO_SESSION)
		return place;
	return sessions->count < sessions->capacity ? sessions->count++ : evict(sessions);
}

uint32_t sessions_of(struct sessions *sessions, const struct address *client, int64_t now_ns)
{
	uint32_t number = find(sessions, client), *bucket = bucket_of(sessions, client);

	if (number == NO_SESSION) {
		struct session session = {.client = *client};

		number = take_place(sessions);
		if (number == NO_SESSION)
			return NO_SESSION;
		if (!open_sockets(sessions, &session, number)) {
			sessions->spare = number;
			return NO_SESSION;
		}
		session.next = *bucket;
		sessions->entries[number] = session;
		*bucket = number;
		sessions->opened++;
	}
	sessions->entries[number].used_ns = now_ns;
	return number;
}
