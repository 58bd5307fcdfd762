/* SPDX-License-Identifier: MIT */
/* UDP sockets: connected, never blocking, and with the kernel's own receive timestamps. */
#ifndef HEDGEROW_UDP_H
#define HEDGEROW_UDP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define MAX_PAYLOAD 65507 /* bytes of the largest UDP datagram over IPv4 */

struct address {
	struct sockaddr_storage socket;
	socklen_t length;
};

struct datagram {
	uint8_t *data; /* room for MAX_PAYLOAD bytes */
	size_t length;
	int64_t kernel_rx_ns; /* CLOCK_REALTIME, or NO_TIME where the kernel does not say */
	struct address source;
};

enum reception { RECEPTION_DATAGRAM, RECEPTION_NOTHING, RECEPTION_ERROR };

/* Reads "192.0.2.10:53" or "[2001:db8::1]:53", numbers only; port 0 where `any_port`. */
bool read_address(const char *text, bool any_port, struct address *address);

/* Both return the socket's descriptor, or -1 with errno set. */
int open_connected(const struct address *server);
int open_listening(const struct address *address);

/* Takes one datagram, if there is one; an error is that of an earlier datagram, reported by ICMP. */
enum reception receive(int fd, struct datagram *datagram);

/* Send to the connected peer, or to `peer`. An earlier datagram's ICMP error makes the next send fail without sending anything, so
 * they try again; every failure is added to *errors. */
bool transmit(int fd, const uint8_t *data, size_t length, int64_t *errors);
bool transmit_to(int fd, const struct address *peer, const uint8_t *data, size_t length, int64_t *errors);

#endif
