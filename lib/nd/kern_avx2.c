/* The kernels for x86-64 machines with AVX2.  No fused multiply-add: results are the same on every machine. */
#if defined(__x86_64__)
#if defined(__clang__)
#define KERN_PUSH _Pragma("clang attribute push(__attribute__((target(\"avx2\"))), apply_to = function)")
#define KERN_POP _Pragma("clang attribute pop")
#else
#define KERN_PUSH _Pragma("GCC push_options") _Pragma("GCC target(\"avx2\")")
#define KERN_POP _Pragma("GCC pop_options")
#endif
#define KERN_WIDTH 32
#define KERNELS nd_kernels_avx2
#include "nd/kern.inc"
#else
#include "nd/impl.h"
#endif
