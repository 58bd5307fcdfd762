/* SPDX-License-Identifier: MIT */
/* Waiting for sockets and for a deadline at once: epoll, and a timerfd for what epoll's milliseconds cannot say.
 *
 * The timer is absolute, so a process that was stopped does not wait for the rest of a time-out. */
#ifndef HEDGEROW_WAITER_H
#define HEDGEROW_WAITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MAX_READY 64

struct waiter {
	int epoll_fd, timer_fd;
	int64_t armed_ns; /* when the timer goes off, or NEVER */
};

/* These two return false, with errno set, where the kernel refuses. */
bool waiter_init(struct waiter *waiter);
bool waiter_watch(struct waiter *waiter, int fd, uint32_t tag);

/* Sleeps until something can be read or CLOCK_MONOTONIC reaches wake_ns, and looks at least once. Returns how many of
 * `tags` are ready: 0 not before wake_ns; -1, with errno set, where the kernel refuses. */
int waiter_wait(struct waiter *waiter, int64_t wake_ns, uint32_t tags[MAX_READY]);

#endif
