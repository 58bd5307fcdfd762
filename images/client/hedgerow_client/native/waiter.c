/* SPDX-License-Identifier: MIT */
#include "waiter.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>

#include "clock.h"

#define TIMER_TAG UINT32_MAX

static bool watch(struct waiter *waiter, int fd, uint32_t events, uint32_t tag)
{
	struct epoll_event event = {.events = events, .data.u32 = tag};

	return epoll_ctl(waiter->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0;
}

bool waiter_init(struct waiter *waiter)
{
	waiter->armed_ns = NEVER;
	waiter->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	waiter->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	/* Edge-triggered: an expiry that is not read is reported once, and setting the timer again takes it back. */
	return waiter->epoll_fd >= 0 && waiter->timer_fd >= 0 &&
	       watch(waiter, waiter->timer_fd, EPOLLIN | EPOLLET, TIMER_TAG);
}

bool waiter_watch(struct waiter *waiter, int fd, uint32_t tag)
{
	return watch(waiter, fd, EPOLLIN, tag);
}

static bool arm(struct waiter *waiter, int64_t wake_ns)
{
	struct itimerspec time = {0}; /* all zero: never */

	if (waiter->armed_ns == wake_ns)
		return true;
	if (wake_ns != NEVER) {
		time.it_value.tv_sec = wake_ns / NS_PER_S;
		time.it_value.tv_nsec = wake_ns % NS_PER_S;
	}
	waiter->armed_ns = wake_ns;
	return timerfd_settime(waiter->timer_fd, TFD_TIMER_ABSTIME, &time, NULL) == 0;
}

int waiter_wait(struct waiter *waiter, int64_t wake_ns, uint32_t tags[MAX_READY])
{
	struct epoll_event events[MAX_READY];

	for (;;) {
		bool sleeps = wake_ns == NEVER || now_ns() < wake_ns;
		int count, ready = 0;

		if (sleeps && !arm(waiter, wake_ns))
			return -1;
		count = epoll_wait(waiter->epoll_fd, events, MAX_READY, sleeps ? -1 : 0);
		if (count < 0 && errno != EINTR)
			return -1;
		for (int number = 0; number < count; number++)
			if (events[number].data.u32 != TIMER_TAG)
				tags[ready++] = events[number].data.u32;
		if (ready || (wake_ns != NEVER && now_ns() >= wake_ns))
			return ready;
	}
}
