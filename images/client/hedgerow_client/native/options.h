/* SPDX-License-Identifier: MIT */
/* The command line: long options, each as --name=value. These programs are started by programs only. */
#ifndef HEDGEROW_OPTIONS_H
#define HEDGEROW_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum option_kind {
	OPTION_INTEGER, /* int64_t, from minimum to maximum */
	OPTION_TEXT,	/* const char * */
	OPTION_PLACE,	/* struct id_place, as OFFSET:LENGTH in bytes */
	OPTION_ADDRESS, /* struct address, any port */
	OPTION_REPLICA, /* struct replicas: adds one */
	OPTION_SPREAD,	/* enum spread */
	OPTION_TARGET,	/* enum target */
};

struct option_spec {
	const char *name;
	enum option_kind kind;
	void *value;
	int64_t minimum, maximum; /* both 0: nothing below zero */
	bool optional;
	bool given;
};

/* Reads all arguments into the options' values; false, after a message on stderr, where one is wrong or missing. */
bool read_options(int argc, char **argv, struct option_spec *options, size_t count);

#endif
