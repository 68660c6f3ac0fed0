/*
 * num.c - what people type: numbers, sizes, times, ids, words near others, JSON of any bytes
 */
#include "../fuzz.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/id.h"
#include "base/json.h"
#include "base/near.h"
#include "base/num.h"

void
fuzz_one(const unsigned char *p, size_t n)
{
	static const char *const words[] = { "jobs", "nodes", "workers", "tasks", "", "a", "actors" };
	char *s = malloc(n + 1), text[ID_TEXT], out[16];
	struct buf b = BUF_INIT;
	uint64_t u = 3;
	int64_t ns = -1;
	unsigned k = 4;
	struct id a = { 0 }, z = { 0 };
	int e;

	if (!s)
		abort();
	memcpy(s, p, n);
	s[n] = '\0';
	e = num_uint(s, &k);
	fuzz_must(e == 0 ? num_u64(s, &u) == 0 && u == k : k == 4 && (e == -EINVAL || e == -ERANGE));
	e = num_u64(s, &u);
	fuzz_must(e == 0 || e == -EINVAL || e == -ERANGE);
	if (num_size(s, &u) == 0)
		fuzz_must(strlen(num_fmt_size(out, u)) < sizeof out);
	e = num_duration(s, &ns);
	fuzz_must(e == 0 ? ns >= 0 && strlen(num_fmt_age(out, ns)) < sizeof out : ns == -1);
	if (id_prefix(s, &a, &z) == 0) {
		fuzz_must(id_cmp(a, z) <= 0 && strncasecmp(id_format(text, a), s, strlen(s)) == 0);
		fuzz_must(strlen(s) < 32 || id_eq(a, z));
	}
	near_word(s, words, sizeof words / sizeof *words);
	err_of_word(s, n);
	fuzz_must(json_str(&b, p, n) == 0 && json_utf8(b.data, b.len) && b.len >= 2);
	fuzz_must(json_base64(&b, p, n) == 0);
	if (n >= 8) {
		double d;

		memcpy(&d, p, 8);
		fuzz_must(json_num(&b, d) == 0);
	}
	buf_release(&b);
	free(s);
}

void
fuzz_seeds(void)
{
	static const char *const text[] = { "90", "1.5m", "10ms", "64KiB", "1.5M", "64KB", "2:8", "0", "18446744073709551615",
		"000000010000000200000000030000ff", "00ab", "job", "timeout", "caf\xc3\xa9\xed\xa0\x80", "2T", "7ns" };

	for (unsigned i = 0; i < sizeof text / sizeof *text; i++)
		fuzz_seed(text[i], strlen(text[i]));
}
