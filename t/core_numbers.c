/* core_numbers.c - a set of numbers in a message: what was added is found, in whatever order it came, and nothing else */
#include "core/numbers.h"
#include "tap.h"

int
main(void)
{
	struct buf b = BUF_INIT;
	unsigned wrong = 0;

	numbers_sort(&b);
	ok(!numbers_has(span_of(b.data, b.len), 0));
	for (uint64_t i = 0; i < 1000; i++)
		wrong += numbers_add(&b, i * 7919 % 1000 * (UINT64_C(1) << 53) / 500) != 0;
	numbers_sort(&b);
	for (uint64_t i = 0; i < 1000; i++) {
		uint64_t u = i * (UINT64_C(1) << 53) / 500;

		wrong += !numbers_has(span_of(b.data, b.len), u) || numbers_has(span_of(b.data, b.len), u + 1);
	}
	ok(b.len == 8000 && wrong == 0);
	ok(!numbers_has(span_of(b.data, 7), 0));
	buf_release(&b);
	return tap_done();
}
