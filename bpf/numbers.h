/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* Running numbers, by which packets on a line are told from each other. */
#ifndef HEDGEROW_NUMBERS_H
#define HEDGEROW_NUMBERS_H

/* The next of the numbers below `end`, after the last of which they begin again. */
static inline u32 running_number(int which, u32 end)
{
	struct numbers *numbers = number_at(which);
	u32 number;

	if (!numbers)
		return 0;
	bpf_spin_lock(&numbers->lock);
	number = numbers->next;
	numbers->next = number + 1 < end ? number + 1 : 0;
	bpf_spin_unlock(&numbers->lock);
	return number;
}

#endif
