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

/* `length`, which is 1 to `most`, a power of two: in the one form from which every verifier learns that bound. The
 * barrier hides from the compiler that it is known already. */
#define BOUNDED(length, most)                    \
	({                                       \
		u32 bounded_ = (length);         \
		asm volatile("" : "+r"(bounded_)); \
		((bounded_ - 1) & ((most) - 1)) + 1; \
	})

/* From the kernel's net/ipv6.h, which is not a UAPI header. */
#define NEXTHDR_HOP 0
#define NEXTHDR_ROUTING 43
#define NEXTHDR_FRAGMENT 44
#define NEXTHDR_DEST 60

#ifdef BCC_SEC
#define SECTION_TC
#else
#define SECTION_TC SEC("tc")
#endif

/* bcc declares it with three arguments; the kernel takes four. */
static long (*redirect_neigh)(u32 ifindex, void *parameters, int length, u64 flags) = (void *)BPF_FUNC_redirect_neigh;

#endif
