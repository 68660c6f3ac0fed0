/* base_err.c - every code has a text and a word, words lead back to their codes, errno is covered */
#include <string.h>
#include "tap.h"
#include "base/err.h"

int
main(void)
{
	static const struct { int code; const char *word; } want[] = {
		{ ERR_TASK, "error" }, { ERR_TIMEOUT, "timeout" }, { ERR_CANCELLED, "cancelled" }, { ERR_CRASHED, "crashed" },
		{ ERR_ACTOR_DIED, "actor_died" }, { ERR_OOM, "oom" }, { ERR_LOST, "lost" }, { ERR_INFEASIBLE, "infeasible" },
		{ ERR_ENV, "env_failed" }, { ERR_NO_CLUSTER, "no_cluster" }
	};
	static const int all[] = {
#define X(name, code, word, text) name,
		ERR_MAP(X)
#undef X
	};
	size_t i, j;
	int good = 1;

	for (i = 0; i < sizeof want / sizeof want[0]; i++)
		ok(strcmp(err_word(want[i].code), want[i].word) == 0);
	for (i = 0; i < sizeof all / sizeof all[0]; i++) {
		const char *w = err_word(all[i]);

		good &= all[i] == -1000 - (int)i && err_of_word(w, strlen(w)) == all[i] && *err_str(all[i]);
		for (j = 0; j < i; j++)
			good &= strcmp(w, err_word(all[j])) != 0;
	}
	ok(good);
	ok(strcmp(err_str(-ENOENT), "No such file or directory") == 0);
	ok(strcmp(err_str(-ETIMEDOUT), strerror(ETIMEDOUT)) == 0 && strcmp(err_word(-ETIMEDOUT), "timeout") == 0);
	ok(strcmp(err_word(-EBADF), "error") == 0 && strcmp(err_word(0), "") == 0);
	ok(*err_str(0) && *err_str(7) && *err_str(-5000));
	ok(err_of_word("timeou", 6) == 0 && err_of_word("timeouts", 8) == 0 && err_of_word("", 0) == 0);
	return tap_done();
}
