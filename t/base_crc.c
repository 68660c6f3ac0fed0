/* base_crc.c - crc_lanes: the instruction and the tables agree, every changed bit is seen */
#include "base/crc.h"
#include "tap.h"

int
main(void)
{
	unsigned char p[300];
	unsigned same = 0, seen = 0, bits = 0;

	for (size_t i = 0; i < sizeof p; i++)
		p[i] = (unsigned char)(i * 7 + 3);
	for (size_t n = 0; n < sizeof p - 8; n++)
		for (size_t at = 0; at < 8; at++)
			same += crc_lanes(p + at, n) == crc_lanes_soft(p + at, n);
	ok(same == (sizeof p - 8) * 8);
	for (size_t i = 0; i < 200; i++)
		for (int k = 0; k < 8; k++, bits++) {
			uint32_t was = crc_lanes(p, 200);

			p[i] ^= (unsigned char)(1 << k);
			seen += crc_lanes(p, 200) != was;
			p[i] ^= (unsigned char)(1 << k);
		}
	ok(seen == bits);
	ok(crc_lanes("", 0) == crc_lanes_soft("", 0));
	return tap_done();
}
