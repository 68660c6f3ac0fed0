/*
 * template.c - rmap's placeholders: words and items of any bytes become arguments; and what sh gets is quoted so that
 * it gives the very bytes back
 */
#include "../fuzz.h"
#include <setjmp.h>

static jmp_buf refused;
#define BASE_DIE_H
#define DIR DIR_NAME		/* of the header is not ours */
#define die(code, ...) longjmp(refused, code)
#include "../../cmd/rmap/template.c"
#include "../../cmd/rmap/quote.c"

/* what sh makes of one quoted word */
static void
unquote(struct buf *out, const char *p, size_t n)
{
	for (const char *end = p + n; p < end; p++) {
		if (*p == '\'') {
			const char *q = memchr(p + 1, '\'', (size_t)(end - p - 1));

			fuzz_must(q);
			buf_add(out, p + 1, (size_t)(q - p - 1));
			p = q;
		} else if (*p == '\\') {
			fuzz_must(++p < end);
			buf_add(out, p, 1);
		} else {
			fuzz_must(isalnum((unsigned char)*p) || strchr("@%+=:,./_-", *p));
			buf_add(out, p, 1);
		}
	}
}

static void
quoted(const char *p, size_t n)
{
	struct buf b = BUF_INIT, back = BUF_INIT;

	fuzz_must(quote(&b, p, n) == 0);
	unquote(&back, (const char *)b.data, b.len);
	fuzz_must(back.len == n && (n == 0 || memcmp(back.data, p, n) == 0));
	b.len = 0;
	fuzz_must(quote_line(&b, p, n) == 0);
	for (size_t i = 0; i < b.len; i++)
		fuzz_must(b.data[i] >= ' ' && b.data[i] != 0x7f);
	buf_release(&b);
	buf_release(&back);
}

static char *
string(struct fuzz *f)
{
	size_t n, len = fuzz_int(f, 1) & 63;
	const unsigned char *p = fuzz_bytes(f, len, &n);
	char *s = malloc(n + 1);

	if (!s)
		abort();
	memcpy(s, p, n);
	s[n] = '\0';
	return s;
}

void
fuzz_one(const unsigned char *p, size_t n)
{
	static char *words[4];
	static struct template *t;
	static struct buf out;
	static struct batch batch;
	static int nword;
	static struct fuzz f;		/* p and n are not looked at once setjmp was called */
	struct options o;
	unsigned how;

	f = (struct fuzz){ p, n };
	how = (unsigned)fuzz_int(&f, 1);
	o = (struct options){ .n = how & 1 ? 2 : 0, .shell = how & 2, .has_args = how & 4, .replace = how & 8 ? "{}x" : NULL,
		.columns = how & 16 ? "[ ,]" : NULL, .pipe = (how & 0xe0) == 0xe0 };
	nword = o.shell ? 1 : 1 + (int)(fuzz_int(&f, 1) & 3);
	for (int i = 0; i < nword; i++)
		words[i] = string(&f);
	if (setjmp(refused) == 0) {
		t = template_new(&o, words, nword, true);
		while (f.n > 0 && batch.n < 3) {
			char *s = string(&f);
			struct item it = { s, strlen(s) };

			quoted(s, it.n);
			fuzz_must(batch_add(&batch, &it) == 0);
			free(s);
		}
		if (batch.n) {
			unsigned count = template_expand(t, &batch, 7, 1, &out);

			for (size_t i = 0; i < out.len; i++)
				count -= out.data[i] == '\0';
			fuzz_must(count == 0 && out.len > 0);
		}
	}
	for (size_t i = 0; t && i < t->n; i++)
		free(t->word[i].piece);
	if (t) {
		if (t->columns)
			columns_free(t->columns);
		free(t->word);
		free(t);
		t = NULL;
	}
	for (int i = 0; i < nword; i++)
		free(words[i]);
	buf_release(&out);
	buf_release(&batch.text);
	free(batch.off);
	batch = (struct batch){ 0 };
}

void
fuzz_seeds(void)
{
	fuzz_seed("\0\2\4echo\3{.}\5{//}x\7a/b.c d", 24);
	fuzz_seed("\2\15cat {} > {#}.\7it's a", 22);
	fuzz_seed("\5\1\4echo\7{2} {1}\3abc\2d\n", 22);
	fuzz_seed("\20\1\4echo\7{2/.}{3\7a,b/c.d", 22);
}
