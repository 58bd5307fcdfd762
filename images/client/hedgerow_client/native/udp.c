/* SPDX-License-Identifier: MIT */
#include "udp.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"

#define SEND_ATTEMPTS 3
#define RECEIVE_BUFFER (4 << 20) /* bytes asked for, for what arrives while we are held up; the kernel may give less */

/* "HOST:PORT" into its two parts, brackets removed. */
static bool split(const char *text, char host[64], const char **port)
{
	const char *colon = strrchr(text, ':'), *start = text, *end = colon;

	if (!colon || colon[1] == '\0')
		return false;
	if (*start == '[') {
		start++;
		if (end <= start || *--end != ']')
			return false;
	} else if (memchr(text, ':', (size_t)(colon - text))) {
		return false;
	}
	if (end <= start || end - start >= 64)
		return false;
	memcpy(host, start, (size_t)(end - start));
	host[end - start] = '\0';
	*port = colon + 1;
	return true;
}

bool read_address(const char *text, bool any_port, struct address *address)
{
	struct addrinfo hints = {.ai_socktype = SOCK_DGRAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV}, *found;
	char host[64];
	const char *port;

	if (!split(text, host, &port) || strspn(port, "0123456789") != strlen(port))
		return false;
	if (strtol(port, NULL, 10) > 0xffff || (!any_port && strtol(port, NULL, 10) == 0))
		return false;
	if (getaddrinfo(host, port, &hints, &found) != 0)
		return false;
	memset(address, 0, sizeof(*address));
	memcpy(&address->socket, found->ai_addr, found->ai_addrlen);
	address->length = found->ai_addrlen;
	freeaddrinfo(found);
	return true;
}

static int open_socket(const struct address *address, int (*attach)(int, const struct sockaddr *, socklen_t))
{
	int fd = socket(address->socket.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int on = 1, size = RECEIVE_BUFFER;

	if (fd < 0)
		return -1;
	/* Timestamps are switched on before the first datagram: the kernel takes a moment to start them. */
	if (setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on)) != 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)) != 0 ||
	    attach(fd, (const struct sockaddr *)&address->socket, address->length) != 0) {
		int error = errno;

		close(fd);
		errno = error;
		return -1;
	}
	return fd;
}

int open_connected(const struct address *server)
{
	return open_socket(server, connect);
}

int open_listening(const struct address *address)
{
	return open_socket(address, bind);
}

static int64_t timestamp_ns(struct msghdr *message)
{
	for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part; part = CMSG_NXTHDR(message, part)) {
		struct timespec stamp;

		if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_TIMESTAMPNS)
			continue;
		memcpy(&stamp, CMSG_DATA(part), sizeof(stamp));
		return stamp.tv_sec * NS_PER_S + stamp.tv_nsec;
	}
	return NO_TIME;
}

enum reception receive(int fd, struct datagram *datagram)
{
	union {
		char bytes[CMSG_SPACE(sizeof(struct timespec))];
		struct cmsghdr aligned;
	} control;
	struct iovec room = {.iov_base = datagram->data, .iov_len = MAX_PAYLOAD};
	struct msghdr message = {
		.msg_name = &datagram->source.socket,
		.msg_namelen = sizeof(datagram->source.socket),
		.msg_iov = &room,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	ssize_t length = recvmsg(fd, &message, 0);

	if (length < 0)
		return errno == EAGAIN || errno == EINTR ? RECEPTION_NOTHING : RECEPTION_ERROR;
	datagram->length = (size_t)length;
	datagram->source.length = message.msg_namelen;
	datagram->kernel_rx_ns = timestamp_ns(&message);
	return RECEPTION_DATAGRAM;
}

bool transmit_to(int fd, const struct address *peer, const uint8_t *data, size_t length, int64_t *errors)
{
	for (int attempt = 0; attempt < SEND_ATTEMPTS; attempt++) {
		if (sendto(fd, data, length, 0, peer ? (const struct sockaddr *)&peer->socket : NULL,
			   peer ? peer->length : 0) >= 0)
			return true;
		++*errors;
	}
	return false;
}

bool transmit(int fd, const uint8_t *data, size_t length, int64_t *errors)
{
	return transmit_to(fd, NULL, data, length, errors);
}
