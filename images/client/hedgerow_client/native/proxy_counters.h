/* SPDX-License-Identifier: MIT */
/* What the proxy has done, a counter a reason, so that
 *
 *   requests  = answered + late + unanswered
 *   responses = answered + late + losers_dropped + duplicates_dropped + unmatched + responses_malformed */
#ifndef HEDGEROW_PROXY_COUNTERS_H
#define HEDGEROW_PROXY_COUNTERS_H

#include <stdbool.h>
#include <stdint.h>

#define PROXY_COUNTERS(X)                                                                         \
	X(requests)	       /* taken on, each once */                                           \
	X(resent)	       /* a request again, while it waits: passed on, not hedged again */   \
	X(refused)	       /* no room for another request or client: dropped */                \
	X(malformed)	       /* no request as declared, too short or too long: dropped */        \
	X(hedges_sent)                                                                             \
	X(responses)                                                                               \
	X(answered)	       /* the first response, in time: passed on */                        \
	X(late)		       /* the first response, after the time-out: passed on */             \
	X(unanswered)	       /* requests that never had a response */                            \
	X(losers_dropped)      /* the other copy's response, once a hedge */                       \
	X(duplicates_dropped)  /* responses beyond a copy's first */                               \
	X(unmatched)	       /* of no request that is known, or no longer: dropped */            \
	X(responses_malformed) /* too short for an id: dropped */                                  \
	X(clients)                                                                                 \
	X(socket_errors)       /* mostly ICMP errors of earlier datagrams: passed over */

struct proxy_counters {
#define PROXY_COUNTER_FIELD(name) int64_t name;
	PROXY_COUNTERS(PROXY_COUNTER_FIELD)
#undef PROXY_COUNTER_FIELD
};

/* Says {"event": "done", …} with all of them; false, with errno set, where the channel is closed. */
bool tell_counters(const struct proxy_counters *counters, int fd);

#endif
