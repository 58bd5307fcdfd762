/* SPDX-License-Identifier: MIT */
#include "clock.h"

#include <sys/prctl.h>
#include <time.h>

#define SANDWICHES 32

static int64_t read_ns(clockid_t clock)
{
	struct timespec read;

	clock_gettime(clock, &read);
	return read.tv_sec * NS_PER_S + read.tv_nsec;
}

int64_t now_ns(void)
{
	return read_ns(CLOCK_MONOTONIC);
}

/* The real time is read between two readings of the monotonic clock; of several such sandwiches the tightest counts,
 * since a process may be preempted inside any one of them. */
int64_t realtime_offset_ns(void)
{
	int64_t tightest_ns = INT64_MAX, offset_ns = 0;

	for (int sandwich = 0; sandwich < SANDWICHES; sandwich++) {
		int64_t before_ns = now_ns(), real_ns = read_ns(CLOCK_REALTIME), after_ns = now_ns();

		if (after_ns - before_ns < tightest_ns) {
			tightest_ns = after_ns - before_ns;
			offset_ns = real_ns - (before_ns + tightest_ns / 2);
		}
	}
	return offset_ns;
}

bool be_punctual(void)
{
	return prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL) == 0;
}
