/* SPDX-License-Identifier: MIT */
#include "deadline_heap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"

bool heap_init(struct deadline_heap *heap, size_t capacity)
{
	size_t size = (capacity ? capacity : 1) * sizeof(*heap->entries);

	heap->count = 0;
	heap->capacity = capacity;
	heap->entries = malloc(size);
	if (!heap->entries)
		return false;
	memset(heap->entries, 0xff, size); /* touched now, so that no page is missing while it is used */
	return true;
}

void heap_push(struct deadline_heap *heap, struct deadline deadline)
{
	size_t hole = heap->count;

	if (hole == heap->capacity) {
		fprintf(stderr, "deadline heap: more than %zu deadlines\n", heap->capacity);
		abort();
	}
	heap->count++;
	while (hole > 0 && heap->entries[(hole - 1) / 2].due_ns > deadline.due_ns) {
		heap->entries[hole] = heap->entries[(hole - 1) / 2];
		hole = (hole - 1) / 2;
	}
	heap->entries[hole] = deadline;
}

int64_t heap_due_ns(const struct deadline_heap *heap)
{
	return heap->count ? heap->entries[0].due_ns : NEVER;
}

struct deadline heap_pop(struct deadline_heap *heap)
{
	struct deadline first = heap->entries[0], last = heap->entries[--heap->count];
	size_t hole = 0;

	for (;;) {
		size_t child = 2 * hole + 1;

		if (child >= heap->count)
			break;
		if (child + 1 < heap->count && heap->entries[child + 1].due_ns < heap->entries[child].due_ns)
			child++;
		if (heap->entries[child].due_ns >= last.due_ns)
			break;
		heap->entries[hole] = heap->entries[child];
		hole = child;
	}
	if (heap->count)
		heap->entries[hole] = last;
	return first;
}
