/* base_near.c - slips find their word, foreign words find none */
#include <string.h>
#include "tap.h"
#include "base/near.h"

static const char *const words[] = { "cpus", "gpus", "memory", "resources", "retries", "returns", "timeout", "name", "jobs", "job-log", "j" };

static int
is(const char *w, const char *want)
{
	const char *got = near_word(w, words, sizeof words / sizeof words[0]);

	if (want ? got && strcmp(got, want) == 0 : !got)
		return 1;
	printf("# '%s' gives %s\n", w, got ? got : "none");
	return 0;
}

int
main(void)
{
	char longest[400];

	ok(is("cpu", "cpus") && is("num_cpus", "cpus") && is("gpsu", "gpus") && is("memroy", "memory") && is("tiemout", "timeout"));
	ok(is("job", "jobs") && is("retires", "retries") && is("resource", "resources") && is("return", "returns"));
	ok(is("zzz", NULL) && is("", NULL) && is("x", NULL) && is("frobnicate", NULL) && is("qq", NULL));
	ok(is("cpus", "cpus") && is("time", "name"));
	ok(near_word("foo", (const char *const[]){ "ok", "bar" }, 2) == NULL);
	memset(longest, 'a', sizeof longest - 1);
	longest[sizeof longest - 1] = '\0';
	ok(is(longest, NULL) && near_word("a", words, 0) == NULL);
	return tap_done();
}
