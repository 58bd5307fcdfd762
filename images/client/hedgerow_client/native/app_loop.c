/* SPDX-License-Identifier: MIT */
#include "app_loop.h"

#include <errno.h>
#include <stdlib.h>

#include "clock.h"
#include "json_line.h"
#include "udp.h"

#define BURST 32 /* overdue requests sent, deadlines met, datagrams of a socket taken, before anything else's turn */
#define SILENT_REQUESTS 4 /* as in exchange.py */

static bool open_sockets(struct app_loop *loop)
{
	const struct replicas *replicas = &loop->settings->replicas;
	uint32_t count = (uint32_t)loop->settings->users * replicas->count;

	loop->sockets = malloc(count * sizeof(*loop->sockets));
	if (!loop->sockets)
		return false;
	for (uint32_t tag = 0; tag < count; tag++) {
		loop->sockets[tag] = -1;
		if (!replica_in_use(replicas, tag % replicas->count))
			continue;
		loop->sockets[tag] = open_connected(&replicas->addresses[tag % replicas->count]);
		if (loop->sockets[tag] < 0 || !waiter_watch(&loop->waiter, loop->sockets[tag], tag))
			return false;
	}
	return true;
}

bool loop_init(struct app_loop *loop, const struct app_settings *settings, int64_t realtime_offset_ns)
{
	int64_t most = settings->count > settings->warmup_count ? settings->count : settings->warmup_count;

	*loop = (struct app_loop){.settings = settings, .realtime_offset_ns = realtime_offset_ns};
	loop->payload = calloc(1, (size_t)settings->payload);
	loop->buffer = malloc(MAX_PAYLOAD);
	/* A request has one deadline at a time; one that was answered leaves its own behind until it comes. */
	return loop->payload && loop->buffer && heap_init(&loop->deadlines, (size_t)most) &&
	       waiter_init(&loop->waiter) && open_sockets(loop);
}

static void end_request(struct app_loop *loop, struct request *request, enum outcome outcome, int64_t ended_ns)
{
	request->waiting = false;
	request->outcome = (uint8_t)outcome;
	loop->ledger->ended++;
	arrivals_end(loop->arrivals, request->user, ended_ns);
}

void loop_report_silence(struct app_loop *loop, int64_t time_ns)
{
	const struct ledger *ledger = loop->ledger;
	int64_t since_ns;
	struct json_line line;

	if (loop->given_up < SILENT_REQUESTS || !loop->settings->patience_ns)
		return;
	since_ns = ledger->requests[loop->first_given_up].sent_ns;
	if (since_ns < loop->heard_ns)
		since_ns = loop->heard_ns;
	if (time_ns - (since_ns > loop->reported_ns ? since_ns : loop->reported_ns) < loop->settings->patience_ns)
		return;
	loop->reported_ns = time_ns;
	json_begin(&line, "silent");
	json_integer(&line, "since_ns", since_ns);
	json_integer(&line, "until_ns", time_ns);
	json_integer(&line, "requests", loop->given_up);
	json_integer(&line, "first_id", (int64_t)(ledger->first_id + loop->first_given_up));
	json_integer(&line, "last_id", (int64_t)(ledger->first_id + (loop->last_given_up > loop->first_given_up ?
									     loop->last_given_up :
									     loop->first_given_up)));
	(void)json_send(&line, (int)loop->settings->channel_fd);
}

/* A request ends without an answer. */
static void give_up(struct app_loop *loop, uint32_t index, enum outcome outcome, int64_t ended_ns)
{
	if (!loop->given_up)
		loop->first_given_up = index;
	loop->given_up++;
	loop->last_given_up = index;
	loop_report_silence(loop, ended_ns);
	end_request(loop, &loop->ledger->requests[index], outcome, ended_ns);
}

/* What a datagram that came to one of `user`'s sockets means. */
static void note_response(struct app_loop *loop, uint32_t user, const struct datagram *datagram, int64_t received_ns)
{
	struct request *request;
	uint64_t request_id;

	if (!read_id(datagram->data, datagram->length, loop->settings->response_id, &request_id)) {
		loop->stray_copies++;
		return;
	}
	request = ledger_find(loop->ledger, request_id);
	if (!request || request->user != user) {
		request = loop->earlier ? ledger_find(loop->earlier, request_id) : NULL;
		if (request)
			request->copies++;
		else
			loop->stray_copies++;
		return;
	}
	request->copies++;
	if (!request->waiting)
		return;
	request->received_ns = received_ns;
	if (datagram->kernel_rx_ns != NO_TIME)
		request->kernel_rx_ns = datagram->kernel_rx_ns - loop->realtime_offset_ns;
	end_request(loop, request, OUTCOME_ANSWERED, received_ns);
}

/* Takes one datagram; false where there is none. */
static bool receive_one(struct app_loop *loop, uint32_t tag)
{
	struct datagram datagram = {.data = loop->buffer};

	switch (receive(loop->sockets[tag], &datagram)) {
	case RECEPTION_NOTHING:
		return false;
	case RECEPTION_ERROR:
		loop->socket_errors++;
		return true;
	case RECEPTION_DATAGRAM:
		break;
	}
	loop->heard_ns = now_ns();
	loop->given_up = 0;
	note_response(loop, tag / loop->settings->replicas.count, &datagram, loop->heard_ns);
	return true;
}

static void receive_ready(struct app_loop *loop, const uint32_t *tags, int count)
{
	for (int number = 0; number < count; number++)
		for (int taken = 0; taken < BURST && receive_one(loop, tags[number]); taken++)
			;
}

static uint32_t asked_tag(const struct app_loop *loop, const struct request *request, uint64_t request_id)
{
	const struct replicas *replicas = &loop->settings->replicas;

	return request->user * replicas->count + asked_replica(replicas, request_id);
}

static uint32_t hedge_tag(const struct app_loop *loop, const struct request *request, uint64_t request_id)
{
	const struct replicas *replicas = &loop->settings->replicas;
	uint32_t asked = asked_replica(replicas, request_id);

	return request->user * replicas->count + hedge_replica(replicas, asked, request_id);
}

/* The answer may lie in a socket's buffer, and after a pause thousands of others before it: what came in time must be
 * neither hedged nor given up. */
static void receive_answer(struct app_loop *loop, const struct request *request, uint64_t request_id)
{
	while (request->waiting && receive_one(loop, asked_tag(loop, request, request_id)))
		;
	while (request->waiting && request->hedged && receive_one(loop, hedge_tag(loop, request, request_id)))
		;
}

static bool transmit_copy(struct app_loop *loop, uint64_t request_id, uint32_t tag)
{
	write_id(loop->payload, loop->settings->request_id, request_id);
	return transmit(loop->sockets[tag], loop->payload, (size_t)loop->settings->payload, &loop->socket_errors);
}

static void set_deadline(struct app_loop *loop, uint32_t index, int64_t due_ns)
{
	heap_push(&loop->deadlines, (struct deadline){.due_ns = due_ns, .index = index});
}

static int64_t final_deadline_ns(const struct app_loop *loop, const struct request *request)
{
	return request->intended_ns + loop->settings->timeout_ns;
}

static void send_next(struct app_loop *loop)
{
	struct ledger *ledger = loop->ledger;
	uint32_t index = ledger->sent++;
	uint64_t request_id = ledger->first_id + index;
	struct request *request = &ledger->requests[index];
	int64_t hedge_ns, final_ns;

	request->user = loop->arrivals->user;
	request->waiting = true;
	request->sent_ns = now_ns();
	request->intended_ns = arrivals_leave(loop->arrivals, request->sent_ns);
	if (!transmit_copy(loop, request_id, asked_tag(loop, request, request_id))) {
		give_up(loop, index, OUTCOME_ERROR, now_ns());
		return;
	}
	hedge_ns = request->sent_ns + loop->settings->hedge_delay_ns;
	final_ns = final_deadline_ns(loop, request);
	set_deadline(loop, index, hedge_ns < final_ns ? hedge_ns : final_ns);
}

/* The deadline of a request has come: hedge it or give it up. */
static void expire(struct app_loop *loop, uint32_t index)
{
	struct request *request = &loop->ledger->requests[index];
	uint64_t request_id = loop->ledger->first_id + index;
	int64_t ended_ns;

	if (request->waiting)
		receive_answer(loop, request, request_id);
	if (!request->waiting)
		return;
	ended_ns = now_ns();
	if (request->hedged || ended_ns >= final_deadline_ns(loop, request)) {
		give_up(loop, index, OUTCOME_TIMEOUT, ended_ns);
		return;
	}
	request->hedged = true;
	if (transmit_copy(loop, request_id, hedge_tag(loop, request, request_id)))
		loop->ledger->hedges_sent++;
	set_deadline(loop, index, final_deadline_ns(loop, request));
}

static void send_due(struct app_loop *loop)
{
	for (int sent = 0; sent < BURST && loop->arrivals->due_ns <= now_ns(); sent++)
		send_next(loop);
}

static void expire_due(struct app_loop *loop)
{
	for (int met = 0; met < BURST && heap_due_ns(&loop->deadlines) <= now_ns(); met++)
		expire(loop, heap_pop(&loop->deadlines).index);
}

/* Deadlines of requests that wait no more would only wake the loop up. */
static void forget_answered(struct app_loop *loop)
{
	struct deadline_heap *heap = &loop->deadlines;

	while (heap->count && !loop->ledger->requests[heap->entries[0].index].waiting)
		heap_pop(heap);
}

static int64_t wake_ns(const struct app_loop *loop)
{
	int64_t send_ns = loop->arrivals->due_ns, deadline_ns = heap_due_ns(&loop->deadlines);
	int64_t first_ns = send_ns < deadline_ns ? send_ns : deadline_ns;

	/* Open arrivals keep to a schedule: the last stretch is spent asking, since waking up takes its time. */
	return first_ns == NEVER ? NEVER : first_ns - loop->settings->spin_ns;
}

bool loop_run(struct app_loop *loop, struct ledger *ledger, struct arrivals *arrivals)
{
	uint32_t ready[MAX_READY];

	loop->earlier = loop->ledger;
	loop->ledger = ledger;
	loop->arrivals = arrivals;
	loop->deadlines.count = 0;
	loop->given_up = 0;
	while (ledger->ended < ledger->count) {
		int count;

		forget_answered(loop);
		count = waiter_wait(&loop->waiter, wake_ns(loop), ready);
		if (count < 0)
			return false;
		send_due(loop);
		receive_ready(loop, ready, count);
		expire_due(loop);
	}
	return true;
}

bool loop_drain(struct app_loop *loop, int64_t until_ns)
{
	uint32_t ready[MAX_READY];

	while (now_ns() < until_ns) {
		int count = waiter_wait(&loop->waiter, until_ns, ready);

		if (count < 0)
			return false;
		receive_ready(loop, ready, count);
	}
	return true;
}
