/* SPDX-License-Identifier: MIT */
/* The one clock of all measurements: CLOCK_MONOTONIC in integer nanoseconds, as in hedgerow_node/clock.py. */
#ifndef HEDGEROW_CLOCK_H
#define HEDGEROW_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#define NS_PER_S INT64_C(1000000000)
#define NO_TIME INT64_C(-1) /* "did not happen" */
#define NEVER INT64_MAX	    /* a deadline that does not come */

int64_t now_ns(void);

/* CLOCK_REALTIME, which the kernel stamps datagrams with, minus CLOCK_MONOTONIC. */
int64_t realtime_offset_ns(void);

/* Let the kernel delay this thread's timers by one nanosecond instead of 50 µs; false where it refuses. */
bool be_punctual(void);

#endif
