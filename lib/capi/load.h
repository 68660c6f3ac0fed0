/*
 * load - shared objects in a worker: each is loaded once and stays.
 *
 * A file is loaded under its own name if it still is what it was when the function was named (cfn.h); a second version
 * of a file that this worker has loaded before is loaded from a private copy, for the loader knows files by name.
 */
#ifndef CAPI_LOAD_H
#define CAPI_LOAD_H

#include <stddef.h>

struct lib;

/* The symbol that the bytes of a C function name; NULL with a line in why.  *libs begins as NULL. */
void	*load_symbol(struct lib **libs, const unsigned char *code, size_t len, char *why, size_t n);

#endif
