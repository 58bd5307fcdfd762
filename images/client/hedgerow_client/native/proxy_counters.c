/* SPDX-License-Identifier: MIT */
#include "proxy_counters.h"

#include "json_line.h"

bool tell_counters(const struct proxy_counters *counters, int fd)
{
	struct json_line line;

	json_begin(&line, "done");
#define TELL(name) json_integer(&line, #name, counters->name);
	PROXY_COUNTERS(TELL)
#undef TELL
	return json_send(&line, fd);
}
