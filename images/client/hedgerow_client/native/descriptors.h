/* SPDX-License-Identifier: MIT */
/* Room for as many sockets as there are users and replicas. */
#ifndef HEDGEROW_DESCRIPTORS_H
#define HEDGEROW_DESCRIPTORS_H

#include <stdbool.h>
#include <sys/resource.h>

/* Raises the limit on open files as far as this process may; false, with errno set, where the kernel refuses. */
static inline bool allow_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return false;
	limit.rlim_cur = limit.rlim_max;
	return setrlimit(RLIMIT_NOFILE, &limit) == 0;
}

#endif
