/* The kernels for any machine, and which of the two this one takes. */
#define KERN_WIDTH 16
#define KERNELS nd_kernels_base
#include "nd/kern.inc"

const struct kernels *
nd_kernels(void)
{
#if defined(__x86_64__)
	static const struct kernels *chosen;
	const struct kernels *k = __atomic_load_n(&chosen, __ATOMIC_RELAXED);

	if (!k) {				/* whoever else looks finds the same */
		k = __builtin_cpu_supports("avx2") ? &nd_kernels_avx2 : &nd_kernels_base;
		__atomic_store_n(&chosen, k, __ATOMIC_RELAXED);
	}
	return k;
#else
	return &nd_kernels_base;
#endif
}
