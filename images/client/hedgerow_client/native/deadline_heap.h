/* SPDX-License-Identifier: MIT */
/* Deadlines, the earliest on top: a binary heap of fixed capacity, so that nothing is allocated while measuring. */
#ifndef HEDGEROW_DEADLINE_HEAP_H
#define HEDGEROW_DEADLINE_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What is due, in words of the heap's owner. */
struct deadline {
	int64_t due_ns;
	uint32_t index, kind;
};

struct deadline_heap {
	struct deadline *entries;
	size_t count, capacity;
};

/* False where there is no memory. */
bool heap_init(struct deadline_heap *heap, size_t capacity);

/* To push more than the capacity is an error in the program, which is aborted. */
void heap_push(struct deadline_heap *heap, struct deadline deadline);

/* The earliest deadline's time, or NEVER. */
int64_t heap_due_ns(const struct deadline_heap *heap);

/* Takes the earliest deadline off; the heap must not be empty. */
struct deadline heap_pop(struct deadline_heap *heap);

#endif
