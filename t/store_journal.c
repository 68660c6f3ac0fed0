/* store_journal.c - a journal gives back the last of each key, whole batches only, also when it was written anew */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "store/journal.h"
#include "tap.h"

static struct span
text(const char *s)
{
	return span_text(s);
}

static const char *
value(const struct journal_read *r, const char *key)		/* "" none */
{
	static char s[64];

	s[0] = '\0';
	for (size_t i = 0; i < r->n; i++)
		if (span_is(r->rec[i].key, key))
			snprintf(s, sizeof s, "%.*s", (int)r->rec[i].val.n, (const char *)r->rec[i].val.p);
	return s;
}

static void
basics(void)
{
	struct journal j = JOURNAL_INIT;
	struct journal_read r;

	journal_put(&j, text("a"), text("nowhere"));
	ok(journal_sync(&j) == 0 && j.fd < 0);
	ok(journal_start(&j) == 0 && journal_read(&r, j.fd) == 0 && r.n == 0);
	journal_read_release(&r);
	journal_put(&j, text("a"), text("1"));
	journal_put(&j, text("b"), text("2"));
	ok(journal_sync(&j) == 0);
	journal_put(&j, text("a"), text("three"));
	journal_put(&j, text("c"), text(""));
	journal_del(&j, text("b"));
	journal_del(&j, text("never"));
	ok(journal_sync(&j) == 0);
	journal_put(&j, text("d"), text("not written"));
	ok(journal_read(&r, j.fd) == 0 && r.n == 2 && strcmp(value(&r, "a"), "three") == 0);
	ok(span_is(r.rec[0].key, "a") && span_is(r.rec[1].key, "c") && r.rec[1].val.n == 0);
	journal_read_release(&r);
	journal_release(&j);
}

/* cut anywhere, only what was synced before counts, and all of it */
static void
torn(void)
{
	struct journal j = JOURNAL_INIT;
	struct journal_read r;
	unsigned char z = 0;
	int bad = 0;
	uint64_t one, two;

	journal_start(&j);
	journal_put(&j, text("k"), text("old"));
	journal_sync(&j);
	one = j.end;
	journal_put(&j, text("k"), text("new"));
	journal_put(&j, text("l"), text("new"));
	journal_sync(&j);
	two = j.end;
	for (uint64_t n = two - 1; n > one; n--) {
		bad += ftruncate(j.fd, (off_t)n) < 0 || journal_read(&r, j.fd) < 0 || r.n != 1 || strcmp(value(&r, "k"), "old") != 0;
		journal_read_release(&r);
	}
	ok(bad == 0);
	j.end = one;				/* as one that goes on after it */
	journal_put(&j, text("k"), text("new"));
	ok(journal_sync(&j) == 0 && pwrite(j.fd, &z, 1, (off_t)j.end - 1) == 1);
	ok(journal_read(&r, j.fd) == 0 && strcmp(value(&r, "k"), "old") == 0);
	journal_read_release(&r);
	journal_release(&j);
}

static int now;

static int
moved(void *ctx, int fd)
{
	now = fd;
	return (*(int *)ctx)++ == 1 ? -1 : 0;	/* once it cannot be */
}

static void
anew(void)
{
	struct journal j = JOURNAL_INIT;
	struct journal_read r;
	char key[16], val[600];
	int times = 0, bad = 0;

	journal_start(&j);
	j.moved = moved;
	j.ctx = &times;
	memset(val, 'v', sizeof val);
	for (int i = 0; i < 50000; i++) {
		snprintf(key, sizeof key, "%d", i % 100);
		snprintf(val, sizeof val - 1, "%d", i);
		val[strlen(val)] = 'v';
		journal_put(&j, text(key), span_of(val, (size_t)(rand() % (int)sizeof val) + 8 > sizeof val ? sizeof val : 64));
		bad += journal_sync(&j) < 0;
	}
	ok(bad == 0 && times > 2 && now == j.fd && j.end < 4 << 20);
	ok(journal_read(&r, j.fd) == 0 && r.n == 100);
	for (size_t i = 0; i < r.n; i++)
		bad += atoi((const char *)r.rec[i].val.p) != 49900 + (int)i;
	ok(bad == 0);
	journal_read_release(&r);
	journal_release(&j);
}

int
main(void)
{
	basics();
	torn();
	anew();
	return tap_done();
}
