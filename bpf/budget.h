/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* A token bucket per service: every request earns a share of a token up to the burst, every hedge costs one. */
#ifndef HEDGEROW_BUDGET_H
#define HEDGEROW_BUDGET_H

#define TOKEN 1000000ULL

static inline void budget_earn(u32 service)
{
	struct budget *budget = budget_get(service);

	if (!budget)
		return;
	bpf_spin_lock(&budget->lock);
	budget->tokens += budget->per_request;
	if (budget->tokens > budget->burst)
		budget->tokens = budget->burst;
	bpf_spin_unlock(&budget->lock);
}

static inline bool budget_spend(u32 service)
{
	struct budget *budget = budget_get(service);
	bool spent = false;

	if (!budget)
		return false;
	bpf_spin_lock(&budget->lock);
	if (budget->tokens >= TOKEN) {
		budget->tokens -= TOKEN;
		spent = true;
	}
	bpf_spin_unlock(&budget->lock);
	return spent;
}

#endif
