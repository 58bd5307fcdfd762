/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* What a program looks up once, when it starts: a lookup a count would cost more than the counting. */
#ifndef HEDGEROW_CONTEXT_H
#define HEDGEROW_CONTEXT_H

struct context {
	struct config *config;
	struct counts *counts;
	u64 now_ns; /* of programs that read the clock, which is dear */
};

/* False where a map is missing, which cannot be. */
static inline bool context_fill(struct context *context)
{
	context->config = config_get();
	context->counts = counts_get();
	context->now_ns = 0;
	return context->config && context->counts;
}

#define COUNT(context, name) ((context)->counts->counter[COUNT_##name]++)

/* For a counter that is known at run time only. */
static inline void count(struct context *context, u32 which)
{
	asm volatile("" : "+r"(which));
	if (which < COUNTER_END)
		context->counts->counter[which]++;
}

#ifdef TESTBED
#define IS_TESTBED 1
#else
#define IS_TESTBED 0
#endif

#endif
