/* SPDX-License-Identifier: MIT */
#include "proxy_settings.h"

#include <stdio.h>

#include "options.h"

#define MEMORY INT64_C(268435456) /* bytes that copies of requests may take */
#define DEFAULT_CAPACITY (1 << 16)
#define LEAST_CAPACITY (1 << 10)
#define MAX_CAPACITY (1 << 22)
#define DEFAULT_CLIENTS (1 << 10)
#define MAX_CLIENTS (1 << 16)

static int64_t default_capacity(int64_t payload)
{
	int64_t fitting = MEMORY / payload;

	if (fitting > DEFAULT_CAPACITY)
		return DEFAULT_CAPACITY;
	return fitting < LEAST_CAPACITY ? LEAST_CAPACITY : fitting;
}

bool read_settings(int argc, char **argv, struct proxy_settings *settings)
{
	struct option_spec options[] = {
		{.name = "channel", .value = &settings->channel_fd, .maximum = INT32_MAX},
		{.name = "listen", .kind = OPTION_ADDRESS, .value = &settings->listen},
		{.name = "replica", .kind = OPTION_REPLICA, .value = &settings->replicas},
		{.name = "spread", .kind = OPTION_SPREAD, .value = &settings->replicas.spread},
		{.name = "target", .kind = OPTION_TARGET, .value = &settings->replicas.target},
		{.name = "payload", .value = &settings->payload, .minimum = 1, .maximum = MAX_PAYLOAD},
		{.name = "timeout-ns", .value = &settings->timeout_ns, .minimum = 1},
		{.name = "hedge-delay-ns", .value = &settings->hedge_delay_ns},
		{.name = "drain-ns", .value = &settings->drain_ns},
		{.name = "request-id", .kind = OPTION_PLACE, .value = &settings->request_id},
		{.name = "response-id", .kind = OPTION_PLACE, .value = &settings->response_id},
		{.name = "capacity", .value = &settings->capacity, .minimum = 1, .maximum = MAX_CAPACITY, .optional = true},
		{.name = "clients", .value = &settings->clients, .minimum = 1, .maximum = MAX_CLIENTS, .optional = true},
	};

	*settings = (struct proxy_settings){.clients = DEFAULT_CLIENTS};
	if (!read_options(argc, argv, options, sizeof(options) / sizeof(*options)))
		return false;
	if (!settings->capacity)
		settings->capacity = default_capacity(settings->payload);
	if (settings->replicas.target == TARGET_OTHER && settings->replicas.count < 2) {
		fprintf(stderr, "%s: --target=other needs two replicas\n", argv[0]);
		return false;
	}
	if (settings->hedge_delay_ns >= settings->timeout_ns) {
		fprintf(stderr, "%s: --hedge-delay-ns= must be shorter than --timeout-ns=\n", argv[0]);
		return false;
	}
	return true;
}
