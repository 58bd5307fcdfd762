/* SPDX-License-Identifier: MIT */
/* What became of the requests of an id range; all memory is taken, and touched, before the first of them leaves. */
#ifndef HEDGEROW_LEDGER_H
#define HEDGEROW_LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum outcome { OUTCOME_ANSWERED, OUTCOME_TIMEOUT, OUTCOME_ERROR }; /* as in hedgerow_node/records.py */

struct request {
	int64_t intended_ns, sent_ns;
	int64_t kernel_rx_ns, received_ns; /* of the copy that answered it in time, or NO_TIME */
	uint32_t copies;		   /* every one that arrived, in time or not */
	uint32_t user;
	uint8_t outcome;
	bool waiting; /* neither answered nor given up yet */
	bool hedged;
};

/* The requests in the order of their ids; `sent` of them have left, `ended` of those wait no more. */
struct ledger {
	uint64_t first_id;
	uint32_t count, sent, ended;
	int64_t hedges_sent;
	struct request *requests;
};

struct quantiles {
	int64_t p50, p99, max;
};

/* False where there is no memory. */
bool ledger_init(struct ledger *ledger, uint64_t first_id, uint32_t count);

/* The request of that id; NULL where no such request has been sent. */
struct request *ledger_find(struct ledger *ledger, uint64_t request_id);

int64_t ledger_outcomes(const struct ledger *ledger, enum outcome outcome);

/* How many copies arrived beyond the first of each request. */
int64_t ledger_duplicates(const struct ledger *ledger);

/* Nearest-rank quantiles of how long after they should have the requests left; false where there are none, or no
 * memory to sort them in. */
bool ledger_send_lateness(const struct ledger *ledger, struct quantiles *late_ns);

/* Writes a record a request to a new file at `path`; false, with errno set, where that fails. */
bool ledger_write(const struct ledger *ledger, const char *path);

#endif
