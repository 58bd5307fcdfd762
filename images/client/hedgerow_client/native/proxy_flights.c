/* SPDX-License-Identifier: MIT */
#include "proxy_flights.h"

#include <stdlib.h>
#include <string.h>

static uint32_t *bucket_of(const struct flights *flights, uint32_t client, uint64_t request_id)
{
	uint64_t hash = (request_id ^ (uint64_t)client << 40) * UINT64_C(0x9e3779b97f4a7c15);

	return &flights->buckets[(hash >> 32) & flights->bucket_mask];
}

bool flights_init(struct flights *flights, uint32_t capacity, size_t longest)
{
	uint32_t buckets = 1;

	while (buckets < capacity)
		buckets *= 2;
	*flights = (struct flights){.longest = longest, .bucket_mask = buckets - 1, .free = NO_FLIGHT};
	flights->entries = calloc(capacity, sizeof(*flights->entries));
	flights->datagrams = malloc(capacity * longest);
	flights->buckets = malloc(buckets * sizeof(*flights->buckets));
	if (!flights->entries || !flights->datagrams || !flights->buckets)
		return false;
	memset(flights->buckets, 0xff, buckets * sizeof(*flights->buckets)); /* NO_FLIGHT, all of them */
	for (uint32_t number = capacity; number-- > 0;) {
		flights->entries[number].next = flights->free;
		flights->free = number;
	}
	return true;
}

uint32_t flights_find(const struct flights *flights, uint32_t client, uint64_t request_id)
{
	uint32_t number = *bucket_of(flights, client, request_id);

	while (number != NO_FLIGHT) {
		const struct flight *flight = &flights->entries[number];

		if (flight->request_id == request_id && flight->client == client)
			break;
		number = flight->next;
	}
	return number;
}

uint32_t flights_add(struct flights *flights, uint32_t client, uint64_t request_id, const uint8_t *datagram,
		     size_t length)
{
	uint32_t number = flights->free, *bucket = bucket_of(flights, client, request_id);
	struct flight *flight;

	if (number == NO_FLIGHT)
		return NO_FLIGHT;
	flight = &flights->entries[number];
	flights->free = flight->next;
	*flight = (struct flight){
		.request_id = request_id, .client = client, .length = (uint32_t)length, .next = *bucket, .listed = true};
	*bucket = number;
	memcpy(flights->datagrams + number * flights->longest, datagram, length);
	return number;
}

const uint8_t *flights_datagram(const struct flights *flights, uint32_t number)
{
	return flights->datagrams + number * flights->longest;
}

void flights_unlist(struct flights *flights, uint32_t number)
{
	struct flight *flight = &flights->entries[number];
	uint32_t *link = bucket_of(flights, flight->client, flight->request_id);

	if (!flight->listed)
		return;
	while (*link != number)
		link = &flights->entries[*link].next;
	*link = flight->next;
	flight->listed = false;
}

void flights_free(struct flights *flights, uint32_t number)
{
	flights_unlist(flights, number);
	flights->entries[number].next = flights->free;
	flights->free = number;
}
