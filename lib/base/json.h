/*
 * json - writes JSON into a buf.  All return 0 or -ENOMEM.  Separators come by themselves: json_item and
 * json_key write the comma unless the last byte opened an array or object or is a colon.
 *
 *	json_key(&b, "n"); json_int(&b, 3); json_key(&b, "s"); json_str(&b, "x", 1);	between "{" and "}"
 */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/buf.h"

int	json_key(struct buf *b, const char *name);	/* [,]"name": */
int	json_item(struct buf *b);			/* the comma before an array's next element, if one is due */
int	json_str(struct buf *b, const void *p, size_t n);	/* quoted; invalid UTF-8 becomes \ufffd */
int	json_int(struct buf *b, int64_t v);
int	json_uint(struct buf *b, uint64_t v);
int	json_num(struct buf *b, double v);	/* shortest that reads back the same, 3.0 stays 3.0; nan, inf: null */
int	json_bool(struct buf *b, bool v);
int	json_null(struct buf *b);
int	json_base64(struct buf *b, const void *p, size_t n);	/* quoted, padded */
bool	json_utf8(const void *p, size_t n);	/* valid UTF-8, no surrogates, no overlong forms */

#endif
