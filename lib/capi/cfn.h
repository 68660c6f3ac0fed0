/*
 * cfn - a C function on its way: which file, which symbol, and what the file contained when it was named.
 *
 * The bytes of a function of kind FN_C, and the code of an actor's spec, are one encoded array: "C", path, symbol,
 * hash of the contents (16 bytes).  A class of Lua is encoded as a map, so the two are told apart.
 */
#ifndef CAPI_CFN_H
#define CAPI_CFN_H

#include <limits.h>
#include "base/buf.h"
#include "base/hash.h"

#define CFN_SYMBOL 256

struct cfn {
	char path[PATH_MAX];		/* absolute */
	char symbol[CFN_SYMBOL];
	struct hash128 hash;
};

/* Finds path from the current directory and hashes it: 0; -errno, -EINVAL or ERR_VALUE with a line in why. */
int	cfn_find(struct cfn *f, const char *path, const char *symbol, char *why, size_t n);
int	cfn_put(struct buf *b, const struct cfn *f);			/* appends the bytes: 0 or -ENOMEM */
int	cfn_get(struct cfn *f, const unsigned char *p, size_t n);	/* 0; ERR_PROTO: no C function */
int	cfn_hash(int fd, struct hash128 *h);				/* of a file's contents: 0 or -errno */

#endif
