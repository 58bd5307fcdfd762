/* SPDX-License-Identifier: MIT */
/* What app-native is asked to do: one block, as block.py has checked it. */
#ifndef HEDGEROW_APP_SETTINGS_H
#define HEDGEROW_APP_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "replicas.h"
#include "request_id.h"

struct app_settings {
	int64_t channel_fd;
	const char *samples;
	struct replicas replicas;
	int64_t first_id, count;
	int64_t warmup_first_id, warmup_count;
	int64_t payload;
	int64_t timeout_ns, hedge_delay_ns, drain_ns, lead_ns;
	int64_t patience_ns; /* so long without a datagram, while requests are given up, is reported; 0: never */
	int64_t users, think_ns;
	int64_t schedule_fd; /* open arrivals: a file of int64, the warm-up's offsets and then the others'; else -1 */
	int64_t spin_ns;     /* how long before a deadline to ask the clock instead of sleeping */
	struct id_place request_id, response_id;
};

/* False, after a message on stderr, where an argument is wrong or missing. */
bool read_settings(int argc, char **argv, struct app_settings *settings);

#endif
