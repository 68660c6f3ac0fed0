/*
 * gpus - which devices of a node a lease gets.  Pure.
 *
 * Amounts are thousandths of a device.  A lease has whole devices, or a part of one: a fraction never spans two, so
 * half and half share a device and nobody is split.  Parts go where least is left that still suffices, which keeps
 * devices whole for those who want them whole; whole ones are taken in the order of their numbers.
 */
#ifndef CORE_GPUS_H
#define CORE_GPUS_H

#include <stdbool.h>
#include <stdint.h>

#define GPUS_MAX 64u
#define GPU_ONE 1000u

struct gpus {
	unsigned n;
	uint16_t free[GPUS_MAX];
};

/* all free; n at most GPUS_MAX */
void	gpus_init(struct gpus *g, unsigned n);
/* can it be had at all: whole devices, or a part of one? */
static inline bool
gpus_shape(int64_t need)
{
	return need <= (int64_t)GPU_ONE || need % GPU_ONE == 0;
}
/* devices for need, bit i for number i, nothing taken yet; 0: there is no room now, or need is 0 */
uint64_t gpus_pick(const struct gpus *g, int64_t need);
void	gpus_take(struct gpus *g, uint64_t devices, int64_t need);	/* as gpus_pick gave them */
void	gpus_give(struct gpus *g, uint64_t devices, int64_t need);
/* "0,2", or "" ; name, if not NULL, has other names of the devices.  Returns the length, cut to n - 1 */
unsigned gpus_text(char *text, unsigned n, uint64_t devices, const char *const *name);

#endif
