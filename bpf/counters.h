/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* Every packet that a program sees ends in exactly one counter of its hook, so the counters reconcile
 * (docs/architecture.md has the equations, tests/bpf and tests/netns check them):
 *
 *   out_seen = sum(out_<parse reason>) + out_not_service + out_no_id + out_struck
 *              + requests + resent + hedges_sent + hedges_untracked + late_dropped
 *   requests = armed + reused_early                                                (mode hedge)
 *              + lane_busy + clone_failed + clone_congested                        (engine clone)
 *              + queue_full + queue_broken + too_large + copy_failed               (engine queue)
 *   armed    = rescued + cancelled + early + late + budget_denied + lost + outdated + disarmed + rescue_failed
 *              + hedge_link_failed (engine queue) + still waiting
 *   rescued  = hedges_sent + hedges_untracked + late_dropped
 *              + those that found no way out (no neighbour, link down)
 *   in_seen  = sum(in_<parse reason>) + in_not_service + in_no_id + in_unmatched
 *              + in_bad_checksum + answered + duplicates_dropped + duplicates_passed + in_rewrite_failed
 *
 * User space reads the names from this file: one X(name, meaning) a line. Manifests record them, so names never
 * change: out_struck is what would be called out_faulted today. */
#ifndef HEDGEROW_COUNTERS_H
#define HEDGEROW_COUNTERS_H

/* Why a frame was not understood and passed untouched; counted as out_<name> at egress, in_<name> at ingress. */
#define PARSE_REASONS(X)                                                                       \
	X(truncated, "the frame ends inside a header")                                         \
	X(not_ip, "neither IPv4 nor IPv6 below at most two VLAN tags")                         \
	X(bad_header, "a header's own length or version contradicts itself or the frame")      \
	X(fragment, "an IP fragment: only the first one would carry the request id")           \
	X(routing_header, "IPv6 routing header: the address on the wire is not the last one")  \
	X(too_many_headers, "more IPv6 extension headers than are followed")                   \
	X(not_udp, "another transport protocol")                                               \
	X(gso, "one buffer of several datagrams (UDP GSO or GRO)")

#define COUNTERS(X)                                                                            \
	X(out_seen, "frames at the splitter")                                                  \
	X(out_not_service, "UDP to an address of no service")                                  \
	X(out_no_id, "to the service, but too short for a request id")                         \
	X(out_struck, "seen before: a network fault has duplicated them or held them back")    \
	X(requests, "new requests recorded in the scoreboard")                                 \
	X(resent, "further copies sent by the client, to whichever replica, of a request that waits") \
	X(hedges_sent, "second copies that left: the kernel's in mode hedge, the client's in mode tap") \
	X(hedges_untracked, "kernel hedges, dropped on their way out: their request was forgotten meanwhile") \
	X(late_dropped, "kernel hedges, dropped on their way out: answered meanwhile, or later than allowed") \
	X(evicted_live, "requests forgotten for lack of room, unanswered or with a response to be dropped") \
	X(armed, "requests whose clone entered the delay line")                                \
	X(reused_early, "requests not armed: an earlier one with the same id still awaits a response") \
	X(lane_busy, "requests not armed: every HTB lane tried was busy")                      \
	X(clone_failed, "requests not armed: the kernel could not clone the packet")           \
	X(clone_congested, "requests not armed: the delay line's queue refused the clone")     \
	X(queue_full, "requests not armed: the queue has no free cell")                        \
	X(queue_broken, "requests not armed: the queue's line does not delay, so it is not used any more") \
	X(too_large, "requests not armed: too large for a cell, and no clone to be had")       \
	X(copy_failed, "requests not armed: the frame could not be copied")                    \
	X(hedge_link_failed, "due, but the hedge link took no packet")                         \
	X(sleepers, "sleepers of queues sent off: one whenever requests begin to wait")        \
	X(stale_sleepers, "sleepers that came back after they had been taken for lost")        \
	X(wakes, "times that a sleeper came back")                                             \
	X(clock_busy, "sleeps for which no HTB class was free")                                \
	X(primers, "HTB primers that crossed the delay line and were dropped")                 \
	X(stray, "other packets on the delay link or a fault link, dropped")                   \
	X(cancelled, "clones dropped at their deadline: the request was answered")             \
	X(early, "clones dropped: they came before their deadline, so the delay line does not delay") \
	X(late, "clones dropped: they came later than allowed")                                \
	X(budget_denied, "clones dropped at their deadline: no token left")                    \
	X(lost, "clones dropped: their request was forgotten for lack of room")            \
	X(outdated, "clones of an earlier request with the same id, dropped")                  \
	X(disarmed, "clones dropped: hedging was switched off before")                         \
	X(rescue_failed, "clones dropped: not parsed or not rewritten")                        \
	X(rescued, "clones sent on as hedges")                                                 \
	X(in_seen, "frames at the responder")                                                  \
	X(in_not_service, "UDP from an address of no service")                                 \
	X(in_no_id, "from the service, but too short for a response id")                       \
	X(in_unmatched, "responses to no request on the scoreboard")                           \
	X(in_bad_checksum, "responses that the kernel will drop, so that they answer nothing") \
	X(in_rewrite_failed, "responses whose source address could not be restored, dropped")  \
	X(answered, "first responses: one for every request answered")                         \
	X(hedges_won, "first responses that answer a hedge")                                   \
	X(hedges_won_unknown, "first responses to hedged requests that do not prove which copy they answer") \
	X(primaries_confirmed, "of these, answers to the primary, as the hedge's own answer proved later") \
	X(answered_by_fragment, "requests whose answer came in fragments, of which the first has the id") \
	X(duplicates_dropped, "later responses, dropped: one for each hedge of the kernel's at most") \
	X(duplicates_passed, "later responses, passed on: the hedger did not cause them")      \
	X(fault_failed, "copies that a network fault should have affected: no clone or lane to be had") \
	X(events_lost, "events that found the ring buffer full")

enum parse_reason {
	PARSED = 0,
#define X(name, meaning) REASON_##name,
	PARSE_REASONS(X)
#undef X
	PARSE_REASON_END
};

enum counter {
#define X(name, meaning) COUNT_##name,
	COUNTERS(X)
#undef X
#define X(name, meaning) COUNT_out_##name,
	PARSE_REASONS(X)
#undef X
#define X(name, meaning) COUNT_in_##name,
	PARSE_REASONS(X)
#undef X
	COUNTER_END
};

/* The counter of a parse reason at one hook; `first` is COUNT_out_truncated or COUNT_in_truncated. */
#define COUNT_REASON(first, reason) ((first) + (reason) - REASON_truncated)

#endif
