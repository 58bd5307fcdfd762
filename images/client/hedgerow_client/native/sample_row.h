/* SPDX-License-Identifier: MIT */
/* The record of one measured request: hedgerow_node/records.py's Sample, little endian and without padding. */
#ifndef HEDGEROW_SAMPLE_ROW_H
#define HEDGEROW_SAMPLE_ROW_H

#include <stddef.h>
#include <stdint.h>

#define SAMPLE_ROW_SIZE 46

struct sample {
	uint64_t request_id;
	uint32_t seq;
	int64_t intended_ns, sent_ns, kernel_rx_ns, received_ns;
	uint8_t outcome, copies_received;
};

static inline uint8_t *sample_put(uint8_t *row, uint64_t value, size_t size)
{
	for (size_t byte = 0; byte < size; byte++)
		*row++ = (uint8_t)(value >> (8 * byte));
	return row;
}

static inline void sample_pack(const struct sample *sample, uint8_t row[SAMPLE_ROW_SIZE])
{
	row = sample_put(row, sample->request_id, 8);
	row = sample_put(row, sample->seq, 4);
	row = sample_put(row, (uint64_t)sample->intended_ns, 8);
	row = sample_put(row, (uint64_t)sample->sent_ns, 8);
	row = sample_put(row, (uint64_t)sample->kernel_rx_ns, 8);
	row = sample_put(row, (uint64_t)sample->received_ns, 8);
	row = sample_put(row, sample->outcome, 1);
	sample_put(row, sample->copies_received, 1);
}

#endif
