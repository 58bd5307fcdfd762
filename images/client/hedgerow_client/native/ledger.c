/* SPDX-License-Identifier: MIT */
#include "ledger.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "clock.h"
#include "sample_row.h"

bool ledger_init(struct ledger *ledger, uint64_t first_id, uint32_t count)
{
	*ledger = (struct ledger){.first_id = first_id, .count = count};
	ledger->requests = malloc((count ? count : 1) * sizeof(*ledger->requests));
	if (!ledger->requests)
		return false;
	for (uint32_t index = 0; index < count; index++)
		ledger->requests[index] = (struct request){
			.intended_ns = NO_TIME,
			.sent_ns = NO_TIME,
			.kernel_rx_ns = NO_TIME,
			.received_ns = NO_TIME,
			.outcome = OUTCOME_TIMEOUT,
		};
	return true;
}

struct request *ledger_find(struct ledger *ledger, uint64_t request_id)
{
	uint64_t index = request_id - ledger->first_id;

	if (request_id < ledger->first_id || index >= ledger->sent)
		return NULL;
	return &ledger->requests[index];
}

int64_t ledger_outcomes(const struct ledger *ledger, enum outcome outcome)
{
	int64_t count = 0;

	/* Those that were never sent have the outcome they were made with. */
	for (uint32_t index = 0; index < ledger->sent; index++)
		count += ledger->requests[index].outcome == outcome;
	return count;
}

int64_t ledger_duplicates(const struct ledger *ledger)
{
	int64_t count = 0;

	for (uint32_t index = 0; index < ledger->sent; index++)
		if (ledger->requests[index].copies > 1)
			count += ledger->requests[index].copies - 1;
	return count;
}

static int ascending(const void *left, const void *right)
{
	int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;

	return (a > b) - (a < b);
}

bool ledger_send_lateness(const struct ledger *ledger, struct quantiles *late_ns)
{
	size_t count = ledger->sent;
	int64_t *sorted = count ? malloc(count * sizeof(*sorted)) : NULL;

	if (!sorted)
		return false;
	for (size_t index = 0; index < count; index++)
		sorted[index] = ledger->requests[index].sent_ns - ledger->requests[index].intended_ns;
	qsort(sorted, count, sizeof(*sorted), ascending);
	late_ns->p50 = sorted[(count - 1) / 2];
	late_ns->p99 = sorted[(count * 99 - 1) / 100];
	late_ns->max = sorted[count - 1];
	free(sorted);
	return true;
}

bool ledger_write(const struct ledger *ledger, const char *path)
{
	FILE *file = fopen(path, "wbe");
	bool well = true;
	int error;

	if (!file)
		return false;
	for (uint32_t index = 0; index < ledger->sent && well; index++) {
		const struct request *request = &ledger->requests[index];
		struct sample sample = {
			.request_id = ledger->first_id + index,
			.seq = index,
			.intended_ns = request->intended_ns,
			.sent_ns = request->sent_ns,
			.kernel_rx_ns = request->kernel_rx_ns,
			.received_ns = request->received_ns,
			.outcome = request->outcome,
			.copies_received = (uint8_t)(request->copies > UINT8_MAX ? UINT8_MAX : request->copies),
		};
		uint8_t row[SAMPLE_ROW_SIZE];

		sample_pack(&sample, row);
		well = fwrite(row, sizeof(row), 1, file) == 1;
	}
	error = errno;
	if (fclose(file) != 0)
		return false;
	errno = error;
	return well;
}
