/* SPDX-License-Identifier: MIT */
#include "arrivals.h"

#include "clock.h"

static void look(struct arrivals *arrivals)
{
	arrivals->due_ns = NEVER;
	if (arrivals->left == 0)
		return;
	if (arrivals->offsets_ns) {
		arrivals->due_ns = arrivals->start_ns + arrivals->offsets_ns[arrivals->next];
		arrivals->user = arrivals->next % arrivals->users;
	} else if (arrivals->thinking.count) {
		arrivals->due_ns = arrivals->thinking.entries[0].due_ns;
		arrivals->user = arrivals->thinking.entries[0].index;
	}
}

static void think(struct arrivals *arrivals, uint32_t user, int64_t until_ns)
{
	heap_push(&arrivals->thinking, (struct deadline){.due_ns = until_ns, .index = user});
}

bool arrivals_init(struct arrivals *arrivals, uint32_t users, int64_t think_ns, uint32_t count,
		   const int64_t *offsets_ns)
{
	*arrivals = (struct arrivals){
		.due_ns = NEVER, .users = users, .left = count, .think_ns = think_ns, .offsets_ns = offsets_ns};
	return heap_init(&arrivals->thinking, users);
}

void arrivals_begin(struct arrivals *arrivals, int64_t start_ns)
{
	arrivals->start_ns = start_ns;
	/* The users start spread over one think time, or they would send in step for a long while. */
	for (uint32_t user = 0; user < arrivals->users && !arrivals->offsets_ns; user++)
		think(arrivals, user, start_ns + arrivals->think_ns * user / arrivals->users);
	look(arrivals);
}

int64_t arrivals_leave(struct arrivals *arrivals, int64_t sent_ns)
{
	int64_t intended_ns = arrivals->due_ns;

	arrivals->left--;
	arrivals->next++;
	/* In closed arrivals a request is meant to leave when it does: its user decides only then. */
	if (!arrivals->offsets_ns) {
		heap_pop(&arrivals->thinking);
		intended_ns = sent_ns;
	}
	look(arrivals);
	return intended_ns;
}

void arrivals_end(struct arrivals *arrivals, uint32_t user, int64_t ended_ns)
{
	if (arrivals->offsets_ns)
		return;
	think(arrivals, user, ended_ns + arrivals->think_ns);
	look(arrivals);
}
