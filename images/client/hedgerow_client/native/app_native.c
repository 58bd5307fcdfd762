/* SPDX-License-Identifier: MIT */
/* The compiled rival: one block of the strategy app-native, from its warm-up to its report.
 *
 * The client's worker becomes this program (programs.py), so that a pause affects it like any other worker. It
 * says the same on its channel as the others do, {"event": "measuring"} and then {"event": "done"} or
 * {"event": "failed"}, and writes the same records. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "app_loop.h"
#include "app_settings.h"
#include "arrivals.h"
#include "clock.h"
#include "descriptors.h"
#include "json_line.h"
#include "ledger.h"

struct block {
	struct app_settings settings;
	int64_t realtime_offset_ns;
	int64_t *schedule; /* the warm-up's offsets and then the others'; NULL in closed arrivals */
	struct ledger warmup, measured;
	struct arrivals warmup_arrivals, arrivals;
	struct app_loop loop;
};

/* The offsets out of the file that was handed in; false, with errno set, where it holds too few. */
static bool read_schedule(struct block *block)
{
	size_t size = (size_t)(block->settings.warmup_count + block->settings.count) * sizeof(int64_t), done = 0;

	if (block->settings.schedule_fd < 0)
		return true;
	block->schedule = malloc(size ? size : 1);
	if (!block->schedule)
		return false;
	while (done < size) {
		ssize_t length = pread((int)block->settings.schedule_fd, (char *)block->schedule + done, size - done,
				       (off_t)done);

		if (length < 0)
			return false;
		if (length == 0) {
			errno = ENODATA;
			return false;
		}
		done += (size_t)length;
	}
	return true;
}

static bool prepare_arrivals(struct block *block)
{
	const struct app_settings *settings = &block->settings;
	const int64_t *warmup = block->schedule, *measured = warmup ? warmup + settings->warmup_count : NULL;
	uint32_t users = (uint32_t)settings->users;

	return arrivals_init(&block->warmup_arrivals, users, settings->think_ns, block->warmup.count, warmup) &&
	       arrivals_init(&block->arrivals, users, settings->think_ns, block->measured.count, measured);
}

static bool prepare(struct block *block)
{
	const struct app_settings *settings = &block->settings;

	block->realtime_offset_ns = realtime_offset_ns();
	return be_punctual() && allow_descriptors() && read_schedule(block) &&
	       ledger_init(&block->warmup, (uint64_t)settings->warmup_first_id, (uint32_t)settings->warmup_count) &&
	       ledger_init(&block->measured, (uint64_t)settings->first_id, (uint32_t)settings->count) &&
	       prepare_arrivals(block) && loop_init(&block->loop, settings, block->realtime_offset_ns);
}

static bool tell_measuring(const struct block *block, int64_t start_ns)
{
	struct json_line line;

	json_begin(&line, "measuring");
	json_integer(&line, "start_ns", start_ns);
	return json_send(&line, (int)block->settings.channel_fd);
}

/* Receives late copies; silence that lasts to the end is reported too. */
static bool drain(struct block *block)
{
	if (!loop_drain(&block->loop, now_ns() + block->settings.drain_ns))
		return false;
	loop_report_silence(&block->loop, now_ns());
	return true;
}

static bool run(struct block *block)
{
	const struct app_settings *settings = &block->settings;
	int64_t start_ns;

	arrivals_begin(&block->warmup_arrivals, now_ns());
	if (!loop_run(&block->loop, &block->warmup, &block->warmup_arrivals))
		return false;
	start_ns = now_ns() + settings->lead_ns;
	if (!tell_measuring(block, start_ns))
		return false;
	arrivals_begin(&block->arrivals, start_ns);
	return loop_run(&block->loop, &block->measured, &block->arrivals) && drain(block) &&
	       ledger_write(&block->measured, settings->samples);
}

/* Only a schedule can be kept to or not. */
static void add_lateness(struct json_line *line, const struct block *block)
{
	struct quantiles late_ns;

	if (!block->schedule || !ledger_send_lateness(&block->measured, &late_ns)) {
		json_integer_or_null(line, "send_lateness_us", 0, true);
		return;
	}
	json_open(line, "send_lateness_us", '{');
	json_microseconds(line, "p50", late_ns.p50);
	json_microseconds(line, "p99", late_ns.p99);
	json_microseconds(line, "max", late_ns.max);
	json_close(line, '}');
}

static bool report(const struct block *block)
{
	const struct ledger *measured = &block->measured;
	bool none = measured->sent == 0;
	struct json_line line;

	json_begin(&line, "done");
	json_integer(&line, "rows", measured->sent);
	json_integer(&line, "answered", ledger_outcomes(measured, OUTCOME_ANSWERED));
	json_integer(&line, "timeouts", ledger_outcomes(measured, OUTCOME_TIMEOUT));
	json_integer(&line, "errors", ledger_outcomes(measured, OUTCOME_ERROR));
	json_integer(&line, "hedges_sent", measured->hedges_sent);
	json_integer(&line, "duplicates_delivered", ledger_duplicates(measured));
	json_integer_or_null(&line, "first_send_ns", none ? 0 : measured->requests[0].sent_ns, none);
	json_integer_or_null(&line, "last_send_ns", none ? 0 : measured->requests[measured->sent - 1].sent_ns, none);
	json_integer(&line, "realtime_offset_ns", block->realtime_offset_ns);
	json_integer(&line, "realtime_offset_drift_ns", realtime_offset_ns() - block->realtime_offset_ns);
	json_integer(&line, "stray_copies", block->loop.stray_copies);
	json_integer(&line, "timer_restarts", 0);
	json_integer(&line, "socket_errors", block->loop.socket_errors);
	add_lateness(&line, block);
	json_open(&line, "collections", '[');
	json_close(&line, ']');
	return json_send(&line, (int)block->settings.channel_fd);
}

int main(int argc, char **argv)
{
	static struct block block;

	if (!read_settings(argc, argv, &block.settings))
		return 2;
	/* errno says whether the channel is still read. */
	signal(SIGPIPE, SIG_IGN);
	if (!prepare(&block) || !run(&block))
		return tell_failure((int)block.settings.channel_fd, errno);
	return report(&block) ? 0 : 1;
}
