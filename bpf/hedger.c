// SPDX-License-Identifier: GPL-2.0 OR MIT
/* The hedger's programs. In any doubt a packet passes untouched and a counter says why (counters.h).
 *
 *   splitter   TC egress of the client's interface: records each request, has the engine hold a copy of it, and is the
 *              tap that sees every copy leave
 *   rescuer    where the engine brings the copy at the deadline: drops it or sends it on as the hedge. The far end of the
 *              delay link (engine clone) or of the hedge link (queue)
 *   responder  TC ingress of the client's interface: the first response wins, the loser's is dropped
 *   drain      far end of the delay link (queue only): what the sleeper does when it wakes
 *   departure  near end of a link with the qdisc fq: when each packet is to leave it
 *
 * and, for the testbed only (-DTESTBED), where a scenario declares network faults (faults.h):
 *
 *   fault_egress   behind the splitter: faults of copies of requests
 *   fault_ingress  before the responder: faults of copies of responses
 *   fault_return   far end of the fault link that delays: the packet goes on where it was going
 *   fault_corrupt  far end of the fault link that corrupts: likewise, with a bit flipped
 *   netem_class    at the interface's own qdisc: which of netem's classes a copy of a request belongs to
 *
 * They return TC_ACT_UNSPEC where they let a packet pass, so that filters of others behind them run too.
 * LANES, BUCKETS, EVENT_PAGES and, for the queue, CELLS and LARGE_CELLS are given with -D; all else comes by config_map. */
#include <uapi/linux/bpf.h>
#include <uapi/linux/if_ether.h>
#include <uapi/linux/if_packet.h>
#include <uapi/linux/in.h>
#include <uapi/linux/ip.h>
#include <uapi/linux/ipv6.h>
#include <uapi/linux/pkt_cls.h>
#include <uapi/linux/udp.h>

#include "compat.h"
#include "counters.h"
#include "types.h"
#include "maps.h"
#include "marks.h"
#include "context.h"
#include "hash.h"
#include "parse.h"
#include "parse_direct.h"
#include "checksum.h"
#include "identify.h"
#include "scoreboard.h"
#include "policy.h"
#include "budget.h"
#include "numbers.h"
#ifdef TESTBED
#include "saved_marks.h"
#endif
#include "clock_fq.h"
#include "delay_line.h"
#include "engine.h"
#include "rewrite.h"
#include "tap.h"
#ifdef TESTBED
#include "fault_draw.h"
#include "faults.h"
#endif

/* A hedge on its way out: seen by the tap like any copy, and given back the client's own mark and priority. */
static inline int hedge_leaves(struct __sk_buff *skb, struct context *context, struct packet *packet,
			       struct subject *subject)
{
	struct request seen = {};
	u32 verdict = policy_leave(context, subject, skb->mark, &seen);

	count(context, verdict);
	if (verdict != COUNT_hedges_sent) {
		budget_return(subject->service_number);
		return TC_ACT_STOLEN;
	}
	skb->mark = seen.mark;
	skb->priority = seen.priority;
	tap_hedge(context, packet, subject, &seen);
	return TC_ACT_UNSPEC;
}

/* Records a new request and, in mode hedge, has its hedge armed. */
static inline void request_leaves(struct __sk_buff *skb, struct context *context, struct packet *packet,
				  struct subject *subject)
{
	bool hedging = context->config->mode == MODE_HEDGE, evicts;
	struct request request = {}, seen = {};
	struct reservation reserved = {};
	int noted;

	request.request_ns = context->now_ns;
	request.deadline_ns = context->now_ns + subject->service->delay_ns;
	request.mark = skb->mark;
	request.priority = skb->priority;
	request.copies = 1;
	request.primary_replica = subject->replica;
#ifdef TESTBED
	if (netem_class_of(subject->replica))
		request.flags = REQUEST_DISORDERED;
#endif
	if (hedging) {
		engine_reserve(skb, context, subject, &reserved);
		request.ticket = reserved.ticket;
		if (!reserved.refused)
			request.flags |= REQUEST_ARMED;
	}
	noted = policy_note(context, subject, &request, &seen, &evicts);
	if (evicts)
		COUNT(context, evicted_live);
	if (hedging && noted != NOTED_NEW)
		engine_give_back(skb, context, subject, &reserved);
	if (noted == NOTED_AGAIN) {
		if (!hedging && seen.copies == 2) {
			COUNT(context, hedges_sent);
			tap_hedge(context, packet, subject, &seen);
		} else {
			COUNT(context, resent);
		}
		return;
	}
	COUNT(context, requests);
	if (!hedging)
		return;
	budget_earn(subject->service_number);
	if (noted == NOTED_REUSED_EARLY)
		COUNT(context, reused_early);
	else
		count(context, reserved.refused ? reserved.refused : engine_arm(skb, context, subject, &reserved));
}

SECTION_TC
int splitter(struct __sk_buff *skb)
{
	struct packet packet = {};
	struct subject subject = {};
	struct context context;
	int reason;

	if (!context_fill(&context) || context.config->mode == MODE_OFF)
		return TC_ACT_UNSPEC;
	COUNT(&context, out_seen);
#ifdef TESTBED
	if (mark_kind(skb->mark) == MARK_FAULTED_REQUEST) {
		COUNT(&context, out_struck);
		return TC_ACT_UNSPEC;
	}
#endif
	reason = parse(skb, &packet);
	if (reason) {
		count(&context, COUNT_REASON(COUNT_out_truncated, reason));
		return TC_ACT_UNSPEC;
	}
	reason = identify(skb, &packet, context.config, DIRECTION_REQUESTS, &subject);
	if (reason) {
		count(&context, reason == NOT_SERVICE ? COUNT_out_not_service : COUNT_out_no_id);
		return TC_ACT_UNSPEC;
	}
	context.now_ns = bpf_ktime_get_ns();
	if (skb->ingress_ifindex == context.config->hedge_ifindex && mark_kind(skb->mark) == MARK_HEDGE)
		return hedge_leaves(skb, &context, &packet, &subject);
	request_leaves(skb, &context, &packet, &subject);
	return TC_ACT_UNSPEC;
}

/* The counter that says why the packet with this `mark` goes no further, or COUNT_rescued; then `*is_other` says whether
 * it goes to another replica than the primary's. */
static inline u32 rescue(struct __sk_buff *skb, struct context *context, u32 mark, bool *is_other)
{
	struct packet packet = {};
	struct subject subject = {};
	struct request seen = {};
	struct endpoint_key *to = NULL;
	u32 replica, verdict;

	if (parse(skb, &packet) || identify(skb, &packet, context->config, DIRECTION_REQUESTS, &subject))
		return COUNT_rescue_failed;
	if (context->config->mode != MODE_HEDGE)
		return COUNT_disarmed;
	verdict = policy_may_hedge(context, &subject, mark, &seen);
	if (verdict != COUNT_rescued)
		return verdict;
	replica = policy_hedge_replica(&subject);
	*is_other = replica != subject.replica;
	if (*is_other) {
		to = replica_get(subject.service_number, replica);
		/* The tag and link address belong to the path to the primary's replica. */
		if (!to || packet.tagged)
			return COUNT_rescue_failed;
	}
	if (!budget_spend(subject.service_number))
		return COUNT_budget_denied;
	skb->mark = MARK_HEDGE | (mark & MARK_VALUE);
	if ((to && !rewrite(skb, &packet, REWRITE_DESTINATION, to)) || !engine_finish(skb, to, &packet)) {
		budget_return(subject.service_number);
		return COUNT_rescue_failed;
	}
	return COUNT_rescued;
}

SECTION_TC
int rescuer(struct __sk_buff *skb)
{
	u32 mark = skb->mark, kind = mark_kind(mark), verdict;
	struct context context;
	bool is_other = false;

	if (!context_fill(&context))
		return TC_ACT_SHOT;
	if (kind != MARK_CLONE) {
		count(&context, kind == MARK_PRIMER ? COUNT_primers : COUNT_stray);
		return TC_ACT_SHOT;
	}
	context.now_ns = bpf_ktime_get_ns();
	engine_brought(&context, mark);
	verdict = rescue(skb, &context, mark, &is_other);
	count(&context, verdict);
	if (verdict != COUNT_rescued)
		return TC_ACT_SHOT;
	/* The copy still has the link address of its own replica; another one's must be looked up. So must the way on the
	 * loopback device, which takes only packets that have a route. */
	if (is_other || context.config->routed)
		return redirect_neigh(context.config->out_ifindex, NULL, 0, 0);
	return bpf_redirect(context.config->out_ifindex, 0);
}

/* A response too large for one packet: its first fragment has the id, and keeps the request from being hedged.
 * Nothing is dropped or rewritten, since the other fragments could not be. */
static inline void fragment_answers(struct __sk_buff *skb, struct context *context, struct packet *packet)
{
	struct subject subject = {};
	struct request seen = {};

	if (identify(skb, packet, context->config, DIRECTION_RESPONSES, &subject))
		return;
	if (!policy_answer_fragment(context, &subject, &seen))
		return;
	COUNT(context, answered_by_fragment);
	engine_cancel(&subject, &seen);
}

/* Gives the response the address of the request's own replica. */
static inline bool restore_source(struct __sk_buff *skb, struct packet *packet, struct subject *subject,
				  struct request *seen)
{
	struct endpoint_key *primary = replica_get(subject->service_number, seen->primary_replica);

	return primary && rewrite(skb, packet, REWRITE_SOURCE, primary);
}

SECTION_TC
int responder(struct __sk_buff *skb)
{
	struct packet packet = {};
	struct subject subject = {};
	struct request seen = {};
	struct context context;
	u64 ordinal = 0;
	int reason, answer;

	if (!context_fill(&context) || context.config->mode == MODE_OFF)
		return TC_ACT_UNSPEC;
	COUNT(&context, in_seen);
	if (IS_TESTBED)
		context.now_ns = bpf_ktime_get_ns();
	reason = parse(skb, &packet);
	if (reason) {
		count(&context, COUNT_REASON(COUNT_in_truncated, reason));
		if (packet.first_fragment)
			fragment_answers(skb, &context, &packet);
		return TC_ACT_UNSPEC;
	}
	reason = identify(skb, &packet, context.config, DIRECTION_RESPONSES, &subject);
	if (reason) {
		count(&context, reason == NOT_SERVICE ? COUNT_in_not_service : COUNT_in_no_id);
		return TC_ACT_UNSPEC;
	}
	if (!checksum_right(skb, &packet)) {
		COUNT(&context, in_bad_checksum);
		return TC_ACT_UNSPEC;
	}
	if (subject.service->copy_ordinal.length)
		read_field(skb, &packet, &subject.service->copy_ordinal, &ordinal);
	answer = policy_answer(&context, &subject, ordinal, false, &seen);
	if (answer == ANSWER_FOREIGN) {
		/* Before anything is claimed: one that cannot be delivered must not keep another from being. */
		if (!restore_source(skb, &packet, &subject, &seen)) {
			COUNT(&context, in_rewrite_failed);
			return TC_ACT_SHOT;
		}
		answer = policy_answer(&context, &subject, ordinal, true, &seen);
	}
	if (answer == ANSWER_UNMATCHED) {
		COUNT(&context, in_unmatched);
		return TC_ACT_UNSPEC;
	}
	if (answer == ANSWER_FIRST) {
		engine_cancel(&subject, &seen);
		tap_answer(&context, &packet, &subject, &seen, ordinal);
		return TC_ACT_UNSPEC;
	}
	if ((answer & ~ANSWER_DROP) == ANSWER_LATER)
		tap_later_answer(&context, &packet, &subject, &seen, ordinal);
	if (answer & ANSWER_DROP) {
		COUNT(&context, duplicates_dropped);
		return TC_ACT_SHOT;
	}
	COUNT(&context, duplicates_passed);
	return TC_ACT_UNSPEC;
}

#ifdef ENGINE_QUEUE
SECTION_TC
int drain(struct __sk_buff *skb)
{
	u32 kind = mark_kind(skb->mark);
	struct context context;
	struct queue *queue;

	if (!context_fill(&context))
		return TC_ACT_SHOT;
	context.now_ns = bpf_ktime_get_ns();
	if (kind == MARK_CLONE)
		return queue_drain_clone(skb, &context);
	queue = queue_at((skb->mark & MARK_VALUE) >> GENERATION_BITS);
	if (kind == MARK_SLEEPER && queue)
		return queue_wake(skb, &context, queue);
	count(&context, kind == MARK_PRIMER ? COUNT_primers : COUNT_stray);
	return TC_ACT_SHOT;
}
#endif

SECTION_TC
int departure(struct __sk_buff *skb)
{
	fq_depart(skb);
	return TC_ACT_UNSPEC;
}

#ifdef TESTBED
SECTION_TC
int fault_egress(struct __sk_buff *skb)
{
	return fault_filter(skb, DIRECTION_REQUESTS);
}

SECTION_TC
int fault_ingress(struct __sk_buff *skb)
{
	return fault_filter(skb, DIRECTION_RESPONSES);
}

SECTION_TC
int fault_return(struct __sk_buff *skb)
{
	struct faults *faults = fault_at(0);
	u32 kind = mark_kind(skb->mark);
	struct context context;

	if (!faults || !context_fill(&context))
		return TC_ACT_SHOT;
	if (faults->line.kind == LINE_HTB && (kind == MARK_FAULTED_REQUEST || kind == MARK_FAULTED_RESPONSE))
		lane_release(&faults->line, skb->mark & MARK_VALUE, bpf_ktime_get_ns());
	return fault_return_packet(skb, &context);
}

SECTION_TC
int fault_corrupt(struct __sk_buff *skb)
{
	struct context context;

	if (!context_fill(&context))
		return TC_ACT_SHOT;
	if (!fault_flip(skb, context.config)) {
		COUNT(&context, stray);
		return TC_ACT_SHOT;
	}
	return fault_return_packet(skb, &context);
}

/* No direct action: the class is what it returns; 0 means none. */
SECTION_TC
int netem_class(struct __sk_buff *skb)
{
	struct packet packet = {};
	struct context context;
	struct endpoint *endpoint;

	if (!context_fill(&context) || parse(skb, &packet))
		return 0;
	endpoint = endpoint_of(context.config, &packet, DIRECTION_REQUESTS);
	return endpoint ? netem_class_of(endpoint->replica) : 0;
}
#endif
