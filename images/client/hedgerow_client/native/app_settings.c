/* SPDX-License-Identifier: MIT */
#include "app_settings.h"

#include <stdio.h>

#include "options.h"

#define MAX_REQUESTS (1 << 28)
#define MAX_USERS (1 << 16)

bool read_settings(int argc, char **argv, struct app_settings *settings)
{
	struct option_spec options[] = {
		{.name = "channel", .value = &settings->channel_fd, .maximum = INT32_MAX},
		{.name = "samples", .kind = OPTION_TEXT, .value = &settings->samples},
		{.name = "replica", .kind = OPTION_REPLICA, .value = &settings->replicas},
		{.name = "spread", .kind = OPTION_SPREAD, .value = &settings->replicas.spread},
		{.name = "target", .kind = OPTION_TARGET, .value = &settings->replicas.target},
		{.name = "first-id", .value = &settings->first_id},
		{.name = "count", .value = &settings->count, .maximum = MAX_REQUESTS},
		{.name = "warmup-first-id", .value = &settings->warmup_first_id},
		{.name = "warmup-count", .value = &settings->warmup_count, .maximum = MAX_REQUESTS},
		{.name = "payload", .value = &settings->payload, .minimum = 1, .maximum = MAX_PAYLOAD},
		{.name = "timeout-ns", .value = &settings->timeout_ns, .minimum = 1},
		{.name = "hedge-delay-ns", .value = &settings->hedge_delay_ns},
		{.name = "drain-ns", .value = &settings->drain_ns},
		{.name = "lead-ns", .value = &settings->lead_ns},
		{.name = "patience-ns", .value = &settings->patience_ns, .optional = true},
		{.name = "users", .value = &settings->users, .minimum = 1, .maximum = MAX_USERS},
		{.name = "think-ns", .value = &settings->think_ns, .optional = true},
		{.name = "schedule", .value = &settings->schedule_fd, .maximum = INT32_MAX, .optional = true},
		{.name = "spin-ns", .value = &settings->spin_ns, .optional = true},
		{.name = "request-id", .kind = OPTION_PLACE, .value = &settings->request_id},
		{.name = "response-id", .kind = OPTION_PLACE, .value = &settings->response_id},
	};

	*settings = (struct app_settings){.schedule_fd = -1};
	if (!read_options(argc, argv, options, sizeof(options) / sizeof(*options)))
		return false;
	if (settings->replicas.target == TARGET_OTHER && settings->replicas.count < 2) {
		fprintf(stderr, "%s: --target=other needs two replicas\n", argv[0]);
		return false;
	}
	if (settings->payload < (int64_t)(settings->request_id.offset + settings->request_id.length)) {
		fprintf(stderr, "%s: --payload= is too short for the request id\n", argv[0]);
		return false;
	}
	return true;
}
