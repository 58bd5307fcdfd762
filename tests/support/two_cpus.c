/* Two threads on CPUs of their own: clients of a hedged service, and each one of its two replicas.
 *
 *   two_cpus CLIENT REPLICA0 REPLICA1 REQUESTS BATCH
 *
 * CLIENT is the descriptor of a UDP socket connected to replica 0, the others are the replicas' bound ones; ids are the
 * first four bytes of a payload, in network order. Each batch of requests is sent by both threads. Replica 0 receives
 * the primaries and replica 1 the hedges; then both answer the same requests in the same order, each answer at the same
 * moment as the other's, so that both copies of a request are answered on two CPUs at once. On success prints, as JSON,
 *
 *   primaries, hedges    copies that the replicas received
 *   answered_by_both     requests that both replicas answered
 *   once, more, never    requests by how many answers to them the client received
 *
 * An operation that fails ends it with a message and 1. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

enum { THREADS = 2, MAX_BATCH = 4096, PAYLOAD = 64, SPINS_BEFORE_YIELDING = 2000 };

struct line {
	_Alignas(64) _Atomic uint64_t value;
};

static int client, replicas[THREADS];
static uint32_t requests, batch;
static uint8_t *answers; /* by id, how many the client received */
static bool arrived[THREADS][MAX_BATCH];
static struct sockaddr_storage asker[THREADS];
static socklen_t asker_size[THREADS];
static uint64_t copies[THREADS], answered_by_both;
static struct line steps[THREADS];

static void fail(const char *what)
{
	fprintf(stderr, "two_cpus: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* Waits until the other thread has come as far; each call of one thread meets one call of the other. */
static void meet(int self)
{
	uint64_t mine = atomic_fetch_add(&steps[self].value, 1) + 1;

	for (int spins = 0; atomic_load(&steps[!self].value) < mine; spins++)
		if (spins > SPINS_BEFORE_YIELDING)
			sched_yield();
}

static void write_id(uint8_t *payload, uint32_t id)
{
	uint32_t ordered = htonl(id);

	memcpy(payload, &ordered, sizeof(ordered));
}

/* The id of the next payload; false where it has been quiet for the socket's time-out. */
static bool receive(int socket, uint32_t *id, struct sockaddr_storage *from, socklen_t *size)
{
	uint8_t payload[PAYLOAD];
	ssize_t length;

	*size = sizeof(*from);
	do
		length = recvfrom(socket, payload, sizeof(payload), 0, (struct sockaddr *)from, size);
	while (length < 0 && errno == EINTR);
	if (length < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return false;
	if (length != PAYLOAD)
		fail("receive");
	memcpy(id, payload, sizeof(*id));
	*id = ntohl(*id);
	if (*id >= requests) {
		errno = ERANGE;
		fail("an id that was never sent");
	}
	return true;
}

static void ask(int self, uint32_t first, uint32_t count)
{
	uint8_t payload[PAYLOAD] = {};

	for (uint32_t n = self; n < count; n += THREADS) {
		write_id(payload, first + n);
		if (send(client, payload, sizeof(payload), 0) != sizeof(payload))
			fail("send a request");
	}
}

/* Copies of earlier batches that come late are counted and stay unanswered. */
static void take_copies(int self, uint32_t first, uint32_t count)
{
	uint32_t id, taken = 0;

	memset(arrived[self], 0, sizeof(arrived[self]));
	while (taken < count && receive(replicas[self], &id, &asker[self], &asker_size[self])) {
		copies[self]++;
		if (id < first || arrived[self][id - first])
			continue;
		arrived[self][id - first] = true;
		taken++;
	}
}

static void answer(int self, uint32_t first, uint32_t count)
{
	uint8_t payload[PAYLOAD] = {};

	for (uint32_t n = 0; n < count; n++) {
		bool both = arrived[0][n] && arrived[1][n];

		write_id(payload, first + n);
		if (both)
			meet(self);
		if (arrived[self][n] && sendto(replicas[self], payload, sizeof(payload), 0,
					       (struct sockaddr *)&asker[self], asker_size[self]) != sizeof(payload))
			fail("send an answer");
		if (both && self == 0)
			answered_by_both++;
	}
}

static void take_answers(uint32_t count)
{
	struct sockaddr_storage from;
	socklen_t size;
	uint32_t id;

	for (uint32_t taken = 0; taken < count && receive(client, &id, &from, &size);)
		if (answers[id] < UINT8_MAX)
			taken += answers[id]++ == 0;
}

static void *work(void *argument)
{
	int self = (int)(intptr_t)argument;
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(self, &cpus);
	if (sched_setaffinity(0, sizeof(cpus), &cpus))
		fail("sched_setaffinity");
	for (uint32_t first = 0; first < requests; first += batch) {
		uint32_t count = requests - first < batch ? requests - first : batch;

		ask(self, first, count);
		meet(self);
		take_copies(self, first, count);
		meet(self);
		answer(self, first, count);
		meet(self);
		if (self == 0)
			take_answers(count);
		meet(self);
	}
	if (self == 0)
		take_answers(1); /* there is none left: whatever still comes is one too many */
	return NULL;
}

int main(int count, char **arguments)
{
	const struct timeval quiet = {.tv_sec = 2};
	uint64_t by_answers[3] = {};
	pthread_t other;

	if (count != 6) {
		fprintf(stderr, "usage: two_cpus CLIENT REPLICA0 REPLICA1 REQUESTS BATCH\n");
		return 2;
	}
	client = atoi(arguments[1]);
	replicas[0] = atoi(arguments[2]);
	replicas[1] = atoi(arguments[3]);
	requests = strtoul(arguments[4], NULL, 10);
	batch = strtoul(arguments[5], NULL, 10);
	answers = calloc(requests, 1);
	if (!answers || batch < 1 || batch > MAX_BATCH) {
		errno = EINVAL;
		fail("REQUESTS or BATCH");
	}
	for (int n = 0; n < 3; n++)
		if (setsockopt(n < 2 ? replicas[n] : client, SOL_SOCKET, SO_RCVTIMEO, &quiet, sizeof(quiet)))
			fail("SO_RCVTIMEO");
	if (pthread_create(&other, NULL, work, (void *)1))
		fail("pthread_create");
	work((void *)0);
	pthread_join(other, NULL);
	for (uint32_t id = 0; id < requests; id++)
		by_answers[answers[id] < 2 ? answers[id] : 2]++;
	printf("{\"primaries\": %lu, \"hedges\": %lu, \"answered_by_both\": %lu, \"once\": %lu, \"more\": %lu,"
	       " \"never\": %lu}\n", copies[0], copies[1], answered_by_both, by_answers[1], by_answers[2], by_answers[0]);
	return 0;
}
