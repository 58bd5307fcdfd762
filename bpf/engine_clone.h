/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* The reference engine: a clone of each request waits in a qdisc, on a link of its own (delay_line.h). */
#ifndef HEDGEROW_ENGINE_CLONE_H
#define HEDGEROW_ENGINE_CLONE_H

struct reservation {
	u32 ticket;
	u32 refused; /* the counter that says why there is no ticket; 0 (COUNT_out_seen): there is one */
};

static inline void engine_reserve(struct __sk_buff *skb, struct context *context, struct subject *subject,
				  struct reservation *reserved)
{
	reserved->ticket = line_number(&context->config->line, MARK_CLONE, context->now_ns);
	reserved->refused = reserved->ticket == NO_LANE ? COUNT_lane_busy : 0;
}

static inline void engine_give_back(struct __sk_buff *skb, struct context *context, struct subject *subject,
				    struct reservation *reserved)
{
	struct line *line = &context->config->line;

	if (!reserved->refused && line->kind == LINE_HTB)
		lane_free(line, reserved->ticket, context->now_ns);
}

static inline u32 engine_arm(struct __sk_buff *skb, struct context *context, struct subject *subject,
			     struct reservation *reserved)
{
	struct line *line = &context->config->line;

	switch (line_hold(skb, line, MARK_CLONE, reserved->ticket, context->now_ns)) {
	case HELD:
		return COUNT_armed;
	case HELD_CONGESTED:
		return COUNT_clone_congested;
	default:
		return COUNT_clone_failed;
	}
}

/* Nothing: a qdisc gives nothing back. The rescuer sees that the request is answered. */
static inline void engine_cancel(struct subject *subject, struct request *seen)
{
}

/* Its lane is free again when the class has paid. */
static inline void engine_brought(struct context *context, u32 mark)
{
	if (context->config->line.kind == LINE_HTB)
		lane_release(&context->config->line, mark & MARK_VALUE, context->now_ns);
}

/* Nothing: a clone is what its request was. */
static inline bool engine_finish(struct __sk_buff *skb, struct endpoint_key *to, struct packet *packet)
{
	return true;
}

#endif
