// SPDX-License-Identifier: GPL-2.0 OR MIT
/* The hedger's programs. In any doubt a packet passes untouched and a counter says why (counters.h).
 *
 *   splitter   TC egress of the client's interface: records each request, clones it into the delay line, and is the
 *              tap that sees every copy leave
 *   rescuer    far end of the delay link: at the deadline drops the clone or sends it on as the hedge
 *   responder  TC ingress of the client's interface: the first response wins, the loser's is dropped
 *
 * and, only where a scenario declares network faults (faults.h):
 *
 *   fault_egress   behind the splitter: faults of copies of requests
 *   fault_ingress  before the responder: faults of copies of responses
 *   fault_return   far end of the fault link that delays: the packet goes on where it was going
 *   fault_corrupt  far end of the fault link that corrupts: likewise, with a bit flipped
 *   netem_class    at the interface's own qdisc: which of netem's classes a copy of a request belongs to
 *
 * They return TC_ACT_UNSPEC where they let a packet pass, so that filters of others behind them run too.
 * LANES, SCOREBOARD_ENTRIES and EVENT_PAGES are given with -D; all else comes by config_map. */
#include <uapi/linux/bpf.h>
#include <uapi/linux/if_ether.h>
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
#include "parse.h"
#include "checksum.h"
#include "identify.h"
#include "scoreboard.h"
#include "budget.h"
#include "saved_marks.h"
#include "delay_line.h"
#include "rewrite.h"
#include "tap.h"
#include "fault_draw.h"
#include "faults.h"

/* A hedge on its way out: seen by the tap like any copy, then given back the client's own mark and priority. */
static inline int hedge_leaves(struct __sk_buff *skb, struct request_key *key, struct request *request, u32 replica,
			       u64 now_ns)
{
	if (request) {
		skb->mark = request->mark;
		skb->priority = request->priority;
		if (request->copies < 255)
			request->copies++;
		request->hedges++;
		tap_hedge(key, request, replica, now_ns);
	} else {
		skb->mark &= MARK_VALUE;
		count(COUNT_hedges_untracked);
	}
	return TC_ACT_UNSPEC;
}

/* Records a new request and, in mode hedge, arms its hedge. `known` is an answered one with the same id, if any. */
static inline void request_leaves(struct __sk_buff *skb, struct config *config, struct subject *subject,
				  struct request *known, u64 now_ns)
{
	struct request request = {};
	u32 number = NO_LANE;

	request.request_ns = now_ns;
	request.deadline_ns = now_ns + config->line.delay_ns;
	request.mark = skb->mark;
	request.priority = skb->priority;
	request.copies = 1;
	request.primary_replica = subject->replica;
	request.replica = subject->replica;
	request.disordered = netem_class_of(subject->replica) != 0;
	if (known)
		scoreboard_inherit(&request, known, config, now_ns);
	if (config->mode == MODE_HEDGE && !request.outstanding) {
		number = line_number(&config->line, MARK_CLONE, now_ns);
		if (number != NO_LANE)
			request.clone = MARK_CLONE | number;
	}
	scoreboard_put(&subject->key, &request);
	count(COUNT_requests);
	if (config->mode == MODE_HEDGE) {
		budget_earn(subject->key.service);
		count(request.outstanding ? COUNT_reused_early : delay_line_arm(skb, config, number, now_ns));
	}
}

int splitter(struct __sk_buff *skb)
{
	struct config *config = config_get();
	struct packet packet = {};
	struct subject subject = {};
	struct request *known;
	bool hedge = mark_kind(skb->mark) == MARK_HEDGE;
	u64 now_ns;
	int reason;

	if (!config || config->mode == MODE_OFF)
		return TC_ACT_UNSPEC;
	now_ns = bpf_ktime_get_ns();
	count(COUNT_out_seen);
	if (mark_kind(skb->mark) == MARK_FAULTED_REQUEST) {
		count(COUNT_out_struck);
		return TC_ACT_UNSPEC;
	}
	reason = parse(skb, &packet);
	if (reason) {
		count(COUNT_REASON(COUNT_out_truncated, reason));
		return TC_ACT_UNSPEC;
	}
	reason = identify(skb, &packet, config, DIRECTION_REQUESTS, &subject);
	if (reason) {
		count(reason == NOT_SERVICE ? COUNT_out_not_service : COUNT_out_no_id);
		return TC_ACT_UNSPEC;
	}
	known = scoreboard_live(&subject.key, config, now_ns);
	if (hedge)
		return hedge_leaves(skb, &subject.key, known, subject.replica, now_ns);
	/* A flow may use an answered id again; within a block of the testbed ids are used once. */
	if (!known || (known->first_response_ns && config->identity != IDENTITY_BLOCK)) {
		request_leaves(skb, config, &subject, known, now_ns);
		return TC_ACT_UNSPEC;
	}
	if (known->copies < 255)
		known->copies++;
	if (config->mode == MODE_TAP && known->copies == 2)
		tap_hedge(&subject.key, known, subject.replica, now_ns);
	else
		count(COUNT_resent);
	return TC_ACT_UNSPEC;
}

/* The counter that says why the clone with this `mark` goes no further, or COUNT_rescued; then `*is_other` says whether
 * it goes to another replica than the primary's. */
static inline u32 rescue(struct __sk_buff *skb, struct config *config, struct packet *packet, u32 mark, u64 now_ns,
			 bool *is_other)
{
	struct subject subject = {};
	struct endpoint_key *to = NULL;
	struct request *request;
	u32 replica;

	if (parse(skb, packet) || identify(skb, packet, config, DIRECTION_REQUESTS, &subject))
		return COUNT_rescue_failed;
	if (config->mode != MODE_HEDGE)
		return COUNT_disarmed;
	request = scoreboard_live(&subject.key, config, now_ns);
	if (!request)
		return COUNT_lost;
	if (request->clone != mark)
		return COUNT_outdated;
	if (request->first_response_ns)
		return COUNT_cancelled;
	replica = scoreboard_hedge_replica(subject.service, subject.replica, subject.key.id);
	*is_other = replica != subject.replica;
	if (*is_other) {
		to = replica_get(subject.key.service, replica);
		/* The tag and link address belong to the path to the primary's replica. */
		if (!to || packet->tagged)
			return COUNT_rescue_failed;
	}
	if (!budget_spend(subject.key.service))
		return COUNT_budget_denied;
	skb->mark = MARK_HEDGE | (request->mark & MARK_VALUE);
	if (to && !rewrite(skb, packet, REWRITE_DESTINATION, to))
		return COUNT_rescue_failed;
	return COUNT_rescued;
}

int rescuer(struct __sk_buff *skb)
{
	struct config *config = config_get();
	struct packet packet = {};
	u32 mark = skb->mark, kind = mark_kind(mark), verdict;
	bool is_other = false;
	u64 now_ns = bpf_ktime_get_ns();

	if (!config)
		return TC_ACT_SHOT;
	if (kind != MARK_CLONE) {
		count(kind == MARK_PRIMER ? COUNT_primers : COUNT_stray);
		return TC_ACT_SHOT;
	}
	if (config->line.kind == LINE_HTB)
		lane_release(&config->line, mark & MARK_VALUE, now_ns);
	verdict = rescue(skb, config, &packet, mark, now_ns, &is_other);
	count(verdict);
	if (verdict != COUNT_rescued)
		return TC_ACT_SHOT;
	/* The clone still has the link address of its own replica; another one's must be looked up. */
	if (is_other)
		return redirect_neigh(config->out_ifindex, NULL, 0, 0);
	return bpf_redirect(config->out_ifindex, 0);
}

/* A response too large for one packet: its first fragment has the id, and keeps the request from being hedged.
 * Nothing is dropped or rewritten, since the other fragments could not be. */
static inline void fragment_answers(struct __sk_buff *skb, struct config *config, struct packet *packet, u64 now_ns)
{
	struct subject subject = {};
	struct request *request;

	if (identify(skb, packet, config, DIRECTION_RESPONSES, &subject))
		return;
	request = scoreboard_live(&subject.key, config, now_ns);
	if (!request || !scoreboard_expects(request, config, subject.replica))
		return;
	request->responses++;
	/* The fragments that follow could not be given the primary's address: such an answer cannot be delivered. */
	if (config->mode == MODE_HEDGE && subject.replica != request->primary_replica)
		return;
	if (scoreboard_first_response(&subject.key, request, now_ns))
		count(COUNT_answered_by_fragment);
}

/* Drops the response where the hedger sent a hedge for it; further ones are the service's own. */
static inline int response_too_many(struct request *request, u32 hedges)
{
	if (request->dropped >= hedges) {
		count(COUNT_duplicates_passed);
		return TC_ACT_UNSPEC;
	}
	request->dropped++;
	count(COUNT_duplicates_dropped);
	return TC_ACT_SHOT;
}

int responder(struct __sk_buff *skb)
{
	struct config *config = config_get();
	struct packet packet = {};
	struct subject subject = {};
	struct request *request;
	struct endpoint_key *primary;
	u64 ordinal = 0, now_ns;
	int reason;

	if (!config || config->mode == MODE_OFF)
		return TC_ACT_UNSPEC;
	now_ns = bpf_ktime_get_ns();
	count(COUNT_in_seen);
	reason = parse(skb, &packet);
	if (reason) {
		count(COUNT_REASON(COUNT_in_truncated, reason));
		if (packet.first_fragment)
			fragment_answers(skb, config, &packet, now_ns);
		return TC_ACT_UNSPEC;
	}
	reason = identify(skb, &packet, config, DIRECTION_RESPONSES, &subject);
	if (reason) {
		count(reason == NOT_SERVICE ? COUNT_in_not_service : COUNT_in_no_id);
		return TC_ACT_UNSPEC;
	}
	request = scoreboard_live(&subject.key, config, now_ns);
	if (!request || !scoreboard_expects(request, config, subject.replica)) {
		count(COUNT_in_unmatched);
		return TC_ACT_UNSPEC;
	}
	if (!checksum_right(skb, &packet)) {
		count(COUNT_in_bad_checksum);
		return TC_ACT_UNSPEC;
	}
	if (scoreboard_outdated(request, config, subject.replica)) {
		request->responses++;
		return response_too_many(request, request->outstanding);
	}
	if (subject.service->copy_ordinal.length)
		read_field(skb, &packet, &subject.service->copy_ordinal, &ordinal);
	/* Before anything is claimed: a response that cannot be delivered must not keep another from being. */
	if (config->mode == MODE_HEDGE && subject.replica != request->primary_replica) {
		primary = replica_get(subject.key.service, request->primary_replica);
		if (!primary || !rewrite(skb, &packet, REWRITE_SOURCE, primary)) {
			count(COUNT_in_rewrite_failed);
			return TC_ACT_SHOT;
		}
	}
	request->responses++;
	if (scoreboard_first_response(&subject.key, request, now_ns)) {
		tap_answer(&subject.key, request, subject.replica, ordinal, now_ns);
		return TC_ACT_UNSPEC;
	}
	tap_later_answer(&subject.key, request, ordinal);
	return response_too_many(request, request->hedges);
}

int fault_egress(struct __sk_buff *skb)
{
	return fault_filter(skb, DIRECTION_REQUESTS);
}

int fault_ingress(struct __sk_buff *skb)
{
	return fault_filter(skb, DIRECTION_RESPONSES);
}

int fault_return(struct __sk_buff *skb)
{
	struct faults *faults = faults_get();
	u32 kind = mark_kind(skb->mark);

	if (faults && faults->line.kind == LINE_HTB && (kind == MARK_FAULTED_REQUEST || kind == MARK_FAULTED_RESPONSE))
		lane_release(&faults->line, skb->mark & MARK_VALUE, bpf_ktime_get_ns());
	return fault_return_packet(skb);
}

int fault_corrupt(struct __sk_buff *skb)
{
	if (!fault_flip(skb)) {
		count(COUNT_stray);
		return TC_ACT_SHOT;
	}
	return fault_return_packet(skb);
}

/* No direct action: the class is what it returns; 0 means none. */
int netem_class(struct __sk_buff *skb)
{
	struct packet packet = {};
	struct endpoint *endpoint;

	if (parse(skb, &packet))
		return 0;
	endpoint = endpoint_of(&packet, DIRECTION_REQUESTS);
	return endpoint ? netem_class_of(endpoint->replica) : 0;
}
