/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* A token bucket per service: every request earns a share of a token up to the burst, every hedge costs one.
 *
 * Requests are only counted as they leave, without a lock. Their shares become tokens when a hedge wants one, which
 * gives the same number: between two hedges tokens can but grow, up to the burst. */
#ifndef HEDGEROW_BUDGET_H
#define HEDGEROW_BUDGET_H

#define TOKEN 1000000ULL

static inline void budget_earn(u32 service)
{
	struct budget *budget = budget_get(service);

	if (budget)
		__sync_fetch_and_add(&budget->requests, 1);
}

static inline bool budget_spend(u32 service)
{
	struct budget *budget = budget_get(service);
	bool spent = false;
	u64 requests;

	if (!budget)
		return false;
	bpf_spin_lock(&budget->lock);
	requests = budget->requests;
	budget->tokens += (requests - budget->credited) * budget->per_request;
	budget->credited = requests;
	if (budget->tokens > budget->burst)
		budget->tokens = budget->burst;
	if (budget->tokens >= TOKEN) {
		budget->tokens -= TOKEN;
		spent = true;
	}
	bpf_spin_unlock(&budget->lock);
	return spent;
}

/* For a hedge that did not leave. */
static inline void budget_return(u32 service)
{
	struct budget *budget = budget_get(service);

	if (!budget)
		return;
	bpf_spin_lock(&budget->lock);
	budget->tokens += TOKEN;
	bpf_spin_unlock(&budget->lock);
}

#endif
