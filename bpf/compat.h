/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* What UAPI headers and older bcc releases leave out. */
#ifndef HEDGEROW_COMPAT_H
#define HEDGEROW_COMPAT_H

#ifndef NULL
#define NULL ((void *)0)
#endif
#ifndef offsetof
#define offsetof(type, member) __builtin_offsetof(type, member)
#endif

/* From the kernel's net/ipv6.h, which is not a UAPI header. */
#define NEXTHDR_HOP 0
#define NEXTHDR_ROUTING 43
#define NEXTHDR_FRAGMENT 44
#define NEXTHDR_DEST 60

/* bcc declares it with three arguments; the kernel takes four. */
static long (*redirect_neigh)(u32 ifindex, void *parameters, int length, u64 flags) = (void *)BPF_FUNC_redirect_neigh;

#endif
