/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* Requests in flight and not long ago: a set-associative table, a lock a bucket. This is where they are found, and how
 * room is made; what is decided about a request, under its bucket's lock, is in policy.h.
 *
 * The searches have no branches: which way is a hit cannot be predicted, and the verifier would follow each. */
#ifndef HEDGEROW_SCOREBOARD_H
#define HEDGEROW_SCOREBOARD_H

/* A state has a rank in its upper two bits, below it when the request was sent, in units of 67 ms. That comes round
 * after 18 minutes: then an old request is taken for a young one, and kept a little longer. */
#define AGE_SHIFT 26
#define AGE_MASK 0x3fff
#define RANK_SHIFT 14
#define NO_WAY BUCKET_WAYS
#define MAX_OWED_WAYS (BUCKET_WAYS / 2)

/* What it costs to forget a request: nothing where there is none, little where it is answered, a hedge where it is not,
 * and a response delivered twice where one has yet to come that must be dropped. */
enum rank { RANK_EMPTY = 0, RANK_ANSWERED = 1, RANK_LIVE = 2, RANK_OWED = 3 };

/* 1 where `a` and `b` are equal, else 0. */
static inline u64 is_equal(u64 a, u64 b)
{
	u64 difference = a ^ b, negative = -difference;

	asm volatile("" : "+r"(negative));
	return ((difference | negative) >> 63) ^ 1;
}

/* The lesser one; both below 2^63. */
static inline u64 least_of(u64 a, u64 b)
{
	s64 difference = b - a, sign = difference >> 63;

	asm volatile("" : "+r"(sign));
	return a + (difference & sign);
}

/* The way of the request with this print, or NO_WAY. */
static inline u64 bucket_find(struct bucket *bucket, u64 print)
{
	u64 way = NO_WAY;

#pragma unroll
	for (u32 i = 0; i < BUCKET_WAYS; i++)
		way -= is_equal(bucket->print[i], print) * (NO_WAY - i);
	asm volatile("" : "+r"(way)); /* the caller's bound is to be checked of this very number, not of its parts */
	return way;
}

static inline u16 state_of(u64 rank, u64 request_ns)
{
	return rank << RANK_SHIFT | (request_ns >> AGE_SHIFT & AGE_MASK);
}

static inline u32 rank_of(struct request *request, bool answered)
{
	if (request->hedges > request->dropped || request->outstanding)
		return RANK_OWED;
	return answered ? RANK_ANSWERED : RANK_LIVE;
}

/* To be called whenever the request has changed. */
static inline void bucket_rank(struct bucket *bucket, u64 way, struct request *request)
{
	if (way < BUCKET_WAYS)
		bucket->state[way] = state_of(rank_of(request, request->first_response_ns), request->request_ns);
}

/* The way whose request goes where another one needs room: the cheapest, among equals the oldest; but never so that
 * requests which still owe a response fill more than half a bucket. */
static inline u64 bucket_victim(struct bucket *bucket, struct config *config, u64 now_ns)
{
	/* One more of each: another CPU may have read its clock a moment later, and no age is to be negative. */
	u64 now = (now_ns >> AGE_SHIFT) + 1, expiry = (config->expiry_ns >> AGE_SHIFT) + 1, owed = 0;
	u64 least = ~0ULL >> 1, least_owed = ~0ULL >> 1;

#pragma unroll
	for (u32 i = 0; i < BUCKET_WAYS; i++) {
		u64 state = bucket->state[i], age = (now - state) & AGE_MASK;
		u64 fresh = (age - expiry - 1) >> 63; /* else expired, and as good as empty */
		u64 rank = (state >> RANK_SHIFT) * fresh, is_owed = is_equal(rank, RANK_OWED);
		u64 cost = (rank << RANK_SHIFT | (AGE_MASK - age)) << 3 | i;

		least = least_of(least, cost);
		least_owed = least_of(least_owed, cost | (is_owed ^ 1) << 32);
		owed += is_owed;
	}
	if (least >> (RANK_SHIFT + 3) == RANK_LIVE && owed >= MAX_OWED_WAYS)
		least = least_owed;
	least &= 7;
	asm volatile("" : "+r"(least));
	return least;
}

#endif
