/* SPDX-License-Identifier: MIT */
/* The hedging sidecar in user space: what a service mesh would put beside a client that knows nothing of hedging.
 *
 * It is started for a block (programs.py), says {"event": "listening"} with its address on its channel, serves
 * until its supervisor closes its own side of that, and then says {"event": "done"} with its counters. */
#include <errno.h>
#include <netdb.h>
#include <signal.h>
#include <stdlib.h>

#include "clock.h"
#include "descriptors.h"
#include "json_line.h"
#include "proxy_loop.h"
#include "proxy_settings.h"

static bool tell_address(const struct proxy *proxy)
{
	struct address address = {.length = sizeof(address.socket)};
	struct json_line line;
	char host[64], port[8];

	if (getsockname(proxy->listening_fd, (struct sockaddr *)&address.socket, &address.length) != 0)
		return false;
	if (getnameinfo((struct sockaddr *)&address.socket, address.length, host, sizeof(host), port, sizeof(port),
			NI_NUMERICHOST | NI_NUMERICSERV | NI_DGRAM) != 0) {
		errno = EAFNOSUPPORT;
		return false;
	}
	json_begin(&line, "listening");
	json_open(&line, "address", '[');
	json_text(&line, NULL, host);
	json_integer(&line, NULL, strtol(port, NULL, 10));
	json_close(&line, ']');
	return json_send(&line, (int)proxy->settings->channel_fd);
}

int main(int argc, char **argv)
{
	static struct proxy_settings settings;
	static struct proxy proxy;

	if (!read_settings(argc, argv, &settings))
		return 2;
	/* errno says whether the channel is still read. */
	signal(SIGPIPE, SIG_IGN);
	if (!be_punctual() || !allow_descriptors() || !proxy_init(&proxy, &settings) || !tell_address(&proxy) ||
	    !proxy_serve(&proxy))
		return tell_failure((int)settings.channel_fd, errno);
	return tell_counters(&proxy.counters, (int)settings.channel_fd) ? 0 : 1;
}
