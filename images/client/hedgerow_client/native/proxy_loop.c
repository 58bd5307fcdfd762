/* SPDX-License-Identifier: MIT */
#include "proxy_loop.h"

#include <stdlib.h>

#include "clock.h"
#include "udp.h"

#define BATCH 16 /* datagrams taken from one socket before the clock is looked at again */

enum { TAG_LISTENING, TAG_CHANNEL, TAG_SESSIONS };
enum deadline_kind { DEADLINE_HEDGE, DEADLINE_EXPIRY };

bool proxy_init(struct proxy *proxy, const struct proxy_settings *settings)
{
	uint32_t capacity = (uint32_t)settings->capacity, clients = (uint32_t)settings->clients;

	*proxy = (struct proxy){.settings = settings, .listening_fd = open_listening(&settings->listen)};
	proxy->buffer = malloc(MAX_PAYLOAD);
	return proxy->listening_fd >= 0 && proxy->buffer && waiter_init(&proxy->waiter) &&
	       waiter_watch(&proxy->waiter, proxy->listening_fd, TAG_LISTENING) &&
	       waiter_watch(&proxy->waiter, (int)settings->channel_fd, TAG_CHANNEL) &&
	       heap_init(&proxy->deadlines, capacity) &&
	       flights_init(&proxy->flights, capacity, (size_t)settings->payload) &&
	       sessions_init(&proxy->sessions, &settings->replicas, &proxy->waiter, TAG_SESSIONS, clients);
}

static void set_deadline(struct proxy *proxy, uint32_t number, enum deadline_kind kind, int64_t due_ns)
{
	heap_push(&proxy->deadlines, (struct deadline){.due_ns = due_ns, .kind = kind, .index = number});
}

static bool pass_on(struct proxy *proxy, uint32_t session, uint32_t replica, const uint8_t *data, size_t length)
{
	return transmit(proxy->sessions.entries[session].sockets[replica], data, length,
			&proxy->counters.socket_errors);
}

/* A request that waits, sent once more by the client itself: passed on, but no request of its own. An id whose
 * request has been answered may be used again. */
static bool is_repeated(struct proxy *proxy, uint32_t session, uint64_t request_id, const struct datagram *datagram)
{
	uint32_t known = flights_find(&proxy->flights, session, request_id);

	if (known == NO_FLIGHT)
		return false;
	if (proxy->flights.entries[known].answered) {
		flights_unlist(&proxy->flights, known);
		return false;
	}
	proxy->counters.resent++;
	pass_on(proxy, session, proxy->flights.entries[known].asked, datagram->data, datagram->length);
	return true;
}

static void take_request(struct proxy *proxy, const struct datagram *datagram)
{
	const struct proxy_settings *settings = proxy->settings;
	struct flight *flight;
	uint64_t request_id;
	uint32_t session, number;

	if (datagram->length > (size_t)settings->payload ||
	    !read_id(datagram->data, datagram->length, settings->request_id, &request_id)) {
		proxy->counters.malformed++;
		return;
	}
	session = sessions_of(&proxy->sessions, &datagram->source, now_ns());
	if (session == NO_SESSION) {
		proxy->counters.refused++;
		return;
	}
	if (is_repeated(proxy, session, request_id, datagram))
		return;
	number = flights_add(&proxy->flights, session, request_id, datagram->data, datagram->length);
	if (number == NO_FLIGHT) {
		proxy->counters.refused++;
		return;
	}
	proxy->counters.requests++;
	proxy->sessions.entries[session].flights++;
	flight = &proxy->flights.entries[number];
	flight->asked = asked_replica(&settings->replicas, request_id);
	flight->sent_ns = now_ns();
	set_deadline(proxy, number, DEADLINE_HEDGE, flight->sent_ns + settings->hedge_delay_ns);
	pass_on(proxy, session, flight->asked, datagram->data, datagram->length);
}

/* Whether a copy of the request went to `replica`. */
static bool was_sent_to(const struct proxy *proxy, const struct flight *flight, uint32_t replica)
{
	return replica == flight->asked ||
	       (flight->hedged &&
		replica == hedge_replica(&proxy->settings->replicas, flight->asked, flight->request_id));
}

static void note_response(struct proxy *proxy, uint32_t session, uint32_t replica, const struct datagram *datagram)
{
	struct proxy_counters *counters = &proxy->counters;
	struct flight *flight;
	uint64_t request_id;
	uint32_t number;

	counters->responses++;
	if (!read_id(datagram->data, datagram->length, proxy->settings->response_id, &request_id)) {
		counters->responses_malformed++;
		return;
	}
	number = flights_find(&proxy->flights, session, request_id);
	if (number == NO_FLIGHT || !was_sent_to(proxy, &proxy->flights.entries[number], replica)) {
		counters->unmatched++;
		return;
	}
	flight = &proxy->flights.entries[number];
	if (flight->answered) {
		if (flight->hedged && !flight->loser_dropped)
			counters->losers_dropped++;
		else
			counters->duplicates_dropped++;
		flight->loser_dropped = flight->hedged;
		return;
	}
	flight->answered = true;
	if (now_ns() < flight->sent_ns + proxy->settings->timeout_ns)
		counters->answered++;
	else
		counters->late++;
	transmit_to(proxy->listening_fd, &proxy->sessions.entries[session].client, datagram->data, datagram->length,
		    &counters->socket_errors);
}

/* Takes one response; false where there is none. */
static bool receive_response(struct proxy *proxy, uint32_t session, uint32_t replica)
{
	struct datagram datagram = {.data = proxy->buffer};
	int fd = proxy->sessions.entries[session].sockets[replica];

	switch (fd < 0 ? RECEPTION_NOTHING : receive(fd, &datagram)) {
	case RECEPTION_NOTHING:
		return false;
	case RECEPTION_ERROR:
		proxy->counters.socket_errors++;
		return true;
	case RECEPTION_DATAGRAM:
		break;
	}
	note_response(proxy, session, replica, &datagram);
	return true;
}

static bool receive_request(struct proxy *proxy)
{
	struct datagram datagram = {.data = proxy->buffer};

	switch (receive(proxy->listening_fd, &datagram)) {
	case RECEPTION_NOTHING:
		return false;
	case RECEPTION_ERROR:
		proxy->counters.socket_errors++;
		return true;
	case RECEPTION_DATAGRAM:
		break;
	}
	take_request(proxy, &datagram);
	return true;
}

static void hedge(struct proxy *proxy, uint32_t number)
{
	struct flight *flight = &proxy->flights.entries[number];
	uint32_t replica = hedge_replica(&proxy->settings->replicas, flight->asked, flight->request_id);

	/* The answer may stand in the socket's buffer, behind others: what came in time is not hedged. Nor is what its
	 * client has given up, after a pause of ours. */
	while (!flight->answered && receive_response(proxy, flight->client, flight->asked))
		;
	if (!flight->answered && now_ns() < flight->sent_ns + proxy->settings->timeout_ns) {
		flight->hedged = true;
		if (pass_on(proxy, flight->client, replica, flights_datagram(&proxy->flights, number), flight->length))
			proxy->counters.hedges_sent++;
	}
	set_deadline(proxy, number, DEADLINE_EXPIRY,
		     flight->sent_ns + proxy->settings->timeout_ns + proxy->settings->drain_ns);
}

static void expire(struct proxy *proxy, uint32_t number)
{
	const struct flight *flight = &proxy->flights.entries[number];

	proxy->sessions.entries[flight->client].flights--;
	if (!flight->answered)
		proxy->counters.unanswered++;
	flights_free(&proxy->flights, number);
}

static void fire_due(struct proxy *proxy)
{
	while (heap_due_ns(&proxy->deadlines) <= now_ns()) {
		struct deadline due = heap_pop(&proxy->deadlines);

		if (due.kind == DEADLINE_HEDGE)
			hedge(proxy, due.index);
		else
			expire(proxy, due.index);
	}
}

/* False once the channel has something to say: that it is over. */
static bool handle_ready(struct proxy *proxy, uint32_t tag)
{
	uint32_t number = tag - TAG_SESSIONS;

	if (tag == TAG_CHANNEL)
		return false;
	for (int taken = 0; taken < BATCH; taken++)
		if (tag == TAG_LISTENING ? !receive_request(proxy)
					 : !receive_response(proxy, number / MAX_REPLICAS, number % MAX_REPLICAS))
			break;
	return true;
}

bool proxy_serve(struct proxy *proxy)
{
	uint32_t ready[MAX_READY];
	bool over = false;

	while (!over) {
		int count = waiter_wait(&proxy->waiter, heap_due_ns(&proxy->deadlines), ready);

		if (count < 0)
			return false;
		for (int number = 0; number < count; number++)
			over |= !handle_ready(proxy, ready[number]);
		fire_due(proxy);
	}
	while (proxy->deadlines.count)
		expire(proxy, heap_pop(&proxy->deadlines).index);
	proxy->counters.clients = proxy->sessions.opened;
	return true;
}
