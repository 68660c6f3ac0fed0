#include <string.h>
#include "base/err.h"

static const struct {
	int code;
	const char *word, *text;
} map[] = {
#define X(name, code, word, text) { code, word, text },
	ERR_MAP(X)
#undef X
};

enum { NMAP = sizeof map / sizeof map[0] };

const char *
err_str(int e)
{
	const char *s;
	size_t i;

	for (i = 0; i < NMAP; i++)
		if (map[i].code == e)
			return map[i].text;
	if (e > 0)
		return "no error";
	s = strerrordesc_np(-e);		/* static and, unlike strerror's, safe in every thread */
	return s ? s : "unknown error";
}

const char *
err_word(int e)
{
	size_t i;

	if (e >= 0)
		return "";
	for (i = 0; i < NMAP; i++)
		if (map[i].code == e)
			return map[i].word;
	switch (e) {
	case -ETIMEDOUT:	return err_word(ERR_TIMEOUT);
	case -ECANCELED:	return err_word(ERR_CANCELLED);
	case -ENOMEM:		return err_word(ERR_OOM);
	case -ENOSPC:		return err_word(ERR_FULL);
	case -ENOENT:		return err_word(ERR_NOTFOUND);
	case -ECONNREFUSED:	return err_word(ERR_NO_CLUSTER);
	}
	return err_word(ERR_TASK);
}

int
err_of_word(const char *w, size_t n)
{
	size_t i;

	for (i = 0; i < NMAP; i++)
		if (strlen(map[i].word) == n && memcmp(map[i].word, w, n) == 0)
			return map[i].code;
	return 0;
}
