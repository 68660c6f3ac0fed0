/* numbers - a set of numbers as messages carry it: u64 little endian each, ascending */
#ifndef CORE_NUMBERS_H
#define CORE_NUMBERS_H

#include <stdbool.h>
#include <stdint.h>
#include "base/buf.h"
#include "base/span.h"

int	numbers_add(struct buf *b, uint64_t u);		/* in any order; 0 or -ENOMEM */
void	numbers_sort(struct buf *b);			/* before it is sent */
bool	numbers_has(struct span s, uint64_t u);		/* in a sorted one */

#endif
