/* core_kv.c - the key-value store: conditions, transactions, watches and sessions hold in long random sequences, and across a crash */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/err.h"
#include "core/control_fx.h"
#include "tap.h"
#include "wire/mp.h"

static struct control_out o;
static struct kv k;
static struct buf line;
static unsigned broken;

/* the disk: the last value of each key, as the writes say */
static struct row {
	size_t nkey, nval;
	unsigned char key[300];
	unsigned char *val;
} disk[4000];
static unsigned nrow;

static void
disk_write(const struct control_fx *fx)
{
	unsigned i;

	for (i = 0; i < nrow; i++)
		if (disk[i].nkey == fx->nkey && memcmp(disk[i].key, o.bytes.data + fx->key, fx->nkey) == 0)
			break;
	if (i == nrow)
		nrow++;
	else
		free(disk[i].val);
	disk[i].nkey = fx->nkey;
	memcpy(disk[i].key, o.bytes.data + fx->key, fx->nkey);
	disk[i].nval = fx->nval;
	disk[i].val = NULL;
	if (fx->kind == CONTROL_FX_DEL) {
		disk[i] = disk[--nrow];
		return;
	}
	disk[i].val = malloc(fx->nval + 1);
	memcpy(disk[i].val, o.bytes.data + fx->val, fx->nval);
}

static void
disk_free(void)
{
	while (nrow > 0)
		free(disk[--nrow].val);
}

static struct answer {
	uint16_t type;
	uint64_t peer, req, rev, ok, changed, have, next, more;
	int64_t code;
	char text[300];
	struct buf list;
} last;
static void (*on_answer)(void);

static void
settle(void)
{
	for (size_t i = 0; i < o.n; i++) {
		struct frame f;
		struct msg_kv_rows rows;
		struct msg_kv_done done;
		struct msg_kv_events ev;
		struct msg_fail fail;

		if (o.fx[i].kind != CONTROL_FX_SEND) {
			disk_write(&o.fx[i]);
			continue;
		}
		if (frame_parse(&f, o.bytes.data + o.fx[i].val, o.fx[i].nval, FRAME_MAX) <= 0) {
			broken++;
			continue;
		}
		buf_release(&last.list);
		last = (struct answer){ .type = f.type, .peer = o.fx[i].peer };
		if (f.type == MSG_KV_ROWS_T && msg_get_kv_rows(&rows, f.body, f.len) == 0) {
			last.req = rows.req;
			last.rev = rows.revision;
			last.more = rows.more;
			buf_add(&last.list, rows.rows.p, rows.rows.n);
		} else if (f.type == MSG_KV_DONE_T && msg_get_kv_done(&done, f.body, f.len) == 0) {
			last.req = done.req;
			last.ok = done.ok;
			last.rev = done.revision;
			last.changed = done.changed;
			last.have = done.have;
		} else if (f.type == MSG_KV_EVENTS_T && msg_get_kv_events(&ev, f.body, f.len) == 0) {
			last.req = ev.req;
			last.next = ev.next;
			buf_add(&last.list, ev.events.p, ev.events.n);
		} else if (f.type == MSG_FAIL_T && msg_get_fail(&fail, f.body, f.len) == 0) {
			last.req = fail.req;
			last.code = fail.code;
			snprintf(last.text, sizeof last.text, "%.*s", (int)fail.text.n, (const char *)fail.text.p);
		} else
			broken++;
		if (on_answer)
			on_answer();
	}
	o.n = 0;
	o.bytes.len = 0;
}

static int
step(uint64_t peer, uint32_t node)
{
	struct frame f;
	int e;

	last.type = 0;
	frame_parse(&f, line.data, line.len, FRAME_MAX);
	e = kv_step(&k, peer, node, &f, &o);
	line.len = 0;
	settle();
	return e;
}
#define SAY(peer, node, name, ...) (msg_put_##name(&line, &(struct msg_##name){ __VA_ARGS__ }), step(peer, node))

/* a transaction of one change; rev -1: no comparison */
static int
txn(const char *key, const char *val, enum kv_session s, int64_t rev, uint64_t proc, uint64_t job)
{
	struct buf cmp = BUF_INIT, ops = BUF_INIT;
	int e;

	if (rev >= 0) {
		mp_put_bin(&cmp, key, strlen(key));
		mp_put_uint(&cmp, (uint64_t)rev);
	}
	mp_put_array(&ops, val ? 3 : 1);
	mp_put_bin(&ops, key, strlen(key));
	if (val) {
		mp_put_bin(&ops, val, strlen(val));
		mp_put_uint(&ops, s);
	}
	e = SAY(1, 1, kv_txn, .req = 7, .compares = span_of(cmp.data, cmp.len), .ops = span_of(ops.data, ops.len), .proc = proc,
	    .job = job);
	buf_release(&cmp);
	buf_release(&ops);
	return e;
}

static bool
value_is(const char *key, const char *want, uint64_t *rev)
{
	struct mp_tok t;
	struct mp m;

	SAY(1, 1, kv_get, .req = 3, .key = span_text(key));
	m = (struct mp){ last.list.data, last.list.data + last.list.len };
	if (want == NULL)
		return last.type == MSG_KV_ROWS_T && last.list.len == 0;
	if (mp_next(&m, &t) < 0 || mp_next(&m, &t) < 0 || mp_next(&m, &t) < 0 || !span_is(span_of(t.p, t.n), want))
		return false;
	mp_next(&m, &t);
	mp_next(&m, &t);
	if (rev)
		*rev = t.u;
	return true;
}

static void
basics(void)
{
	char key[300];
	uint64_t rev = 0;

	kv_init(&k);
	ok(txn("a", "1", KV_LASTS, -1, 5, 1) == 0 && last.ok && last.rev == 1 && last.changed == 1);
	ok(value_is("a", "1", &rev) && rev == 1 && value_is("b", NULL, NULL));
	txn("a", "2", KV_LASTS, 0, 5, 1);
	ok(last.type == MSG_KV_DONE_T && !last.ok && last.have == 1 && k.rev == 1);
	txn("a", "2", KV_LASTS, 1, 5, 1);
	ok(last.ok && last.rev == 2 && value_is("a", "2", NULL));
	txn("none", NULL, KV_LASTS, -1, 5, 1);
	ok(last.ok && last.changed == 0 && k.rev == 2);		/* nothing changed: no commit */
	txn("rota/x", "1", KV_LASTS, -1, 5, 1);
	ok(last.type == MSG_FAIL_T && last.code == -EPERM);
	txn("rota/x", "1", KV_LASTS, -1, 0, 0);
	ok(last.ok);
	memset(key, 'k', sizeof key);
	key[256] = '\0';
	txn(key, "1", KV_LASTS, -1, 5, 1);
	ok(last.type == MSG_FAIL_T && last.code == -ENAMETOOLONG && strstr(last.text, "at most 255 bytes"));
	key[255] = '\0';
	txn(key, "1", KV_LASTS, -1, 5, 1);
	ok(last.ok);
	txn("", "1", KV_LASTS, -1, 5, 1);
	ok(last.type == MSG_FAIL_T && last.code == -EINVAL);
	ok(SAY(1, 1, kv_txn, .req = 1, .ops = span_text("x")) == ERR_PROTO);
	ok(SAY(1, 1, kv_txn, .req = 1, .compares = span_text("\xc4\x05")) == ERR_PROTO);
	ok(kv_check(&k) == 0);
	/* watches */
	SAY(1, 1, kv_watch, .req = 20, .prefix = span_text("w/"), .from = k.rev + 1);
	ok(last.type == 0);
	txn("v", "1", KV_LASTS, -1, 5, 1);
	ok(last.type == MSG_KV_DONE_T);
	rev = k.rev;
	txn("w/1", "1", KV_LASTS, -1, 5, 1);
	ok(last.type == MSG_KV_DONE_T && k.log.nwatch == 0);	/* the event went out before the answer */
	SAY(1, 1, kv_watch, .req = 21, .prefix = span_text("w/"), .from = rev + 1);
	ok(last.type == MSG_KV_EVENTS_T && last.req == 21 && last.next == rev + 2);
	SAY(1, 1, kv_watch, .req = 22, .prefix = span_text("w/"), .from = rev + 2);
	ok(last.type == 0 && k.log.nwatch == 1);
	SAY(2, 1, kv_cancel, .req = 22);
	ok(k.log.nwatch == 1);			/* another peer's is another one */
	SAY(1, 1, kv_cancel, .req = 22);
	ok(k.log.nwatch == 0);
	SAY(1, 1, kv_watch, .req = 23, .from = k.rev + 2);
	ok(last.type == MSG_FAIL_T && last.code == -EINVAL);
	SAY(1, 1, kv_watch, .req = 24);
	SAY(3, 1, kv_watch, .req = 24);
	ok(k.log.nwatch == 2);
	kv_peer_gone(&k, 1);
	ok(k.log.nwatch == 1);
	/* sessions */
	txn("s/1", "x", KV_PROC, -1, 9, 2);
	txn("s/2", "x", KV_PROC, -1, 9, 2);
	txn("s/3", "x", KV_JOB, -1, 9, 2);
	txn("s/4", "x", KV_PROC, -1, 10, 2);
	rev = k.rev;
	SAY(1, 2, kv_gone, .proc = 9);		/* of another node */
	ok(k.rev == rev);
	SAY(1, 1, kv_gone, .proc = 9);
	ok(k.rev == rev + 1 && value_is("s/1", NULL, NULL) && value_is("s/2", NULL, NULL) && value_is("s/3", "x", NULL));
	kv_job_end(&k, 2, &o);
	settle();
	ok(value_is("s/3", NULL, NULL) && value_is("s/4", "x", NULL) && kv_check(&k) == 0);
	kv_node_gone(&k, 1, &o);
	settle();
	ok(value_is("s/4", NULL, NULL) && value_is("a", "2", NULL) && kv_check(&k) == 0);
	kv_release(&k);
	disk_free();
}

/* --- random sequences against a simple model; watchers apply events to copies of their own ------------------- */

enum { KEYS = 60, WATCHERS = 5 };
static struct model {
	int val, session;		/* -1 absent; 0 none, else process */
} model[KEYS], copy[WATCHERS][KEYS];
static uint64_t from[WATCHERS];
static bool asked[WATCHERS];
static unsigned events, compacted, lies;

static unsigned
number(const unsigned char *p, size_t n)
{
	unsigned v = 0;

	for (size_t i = 0; i < n; i++)
		if (p[i] >= '0' && p[i] <= '9')
			v = v * 10 + p[i] - '0';
	return v;
}

static void
watcher(void)
{
	struct mp m = { last.list.data, last.list.data + last.list.len };
	unsigned w = (unsigned)last.req - 100;
	struct mp_tok t, rev, key, val;

	if (last.req < 100 || w >= WATCHERS)
		return;
	asked[w] = false;
	if (last.type == MSG_FAIL_T) {
		compacted += last.code == ERR_COMPACTED;
		broken += last.code != ERR_COMPACTED;
		for (int i = 0; i < KEYS; i++)
			copy[w][i] = model[i];	/* relist; the caller's change is in the model already */
		from[w] = k.rev + 1;
		return;
	}
	while (m.p < m.end) {
		mp_next(&m, &t);
		mp_next(&m, &rev);
		mp_next(&m, &key);
		if (t.n == 3)
			mp_next(&m, &val);
		lies += rev.u < from[w];
		copy[w][number(key.p, key.n)].val = t.n == 3 ? (int)number(val.p, val.n) : -1;
		events++;
	}
	from[w] = last.next;
}

static void
rewatch(unsigned w)
{
	if (asked[w])
		return;
	asked[w] = true;
	SAY(50, 1, kv_watch, .req = 100 + w, .prefix = span_text("k"), .from = from[w]);
}

static void
restart(void)				/* the control store is killed: what is on the disk is what there was */
{
	uint64_t rev = 0;

	kv_release(&k);
	kv_init(&k);
	for (unsigned i = 0; i < nrow; i++) {
		struct mp m = { disk[i].val, disk[i].val + disk[i].nval };
		struct mp_tok t;

		if (disk[i].nkey > 3 && memcmp(disk[i].key, "kv/", 3) == 0)
			broken += kv_load(&k, span_of(disk[i].key + 3, disk[i].nkey - 3), span_of(disk[i].val, disk[i].nval)) != 0;
		else if (mp_next(&m, &t) == 0)
			rev = t.u;
	}
	k.rev = rev;
	memset(asked, 0, sizeof asked);
}

static void
random_sequence(unsigned seed, int steps)
{
	char key[16], val[16];
	int bad = 0;

	kv_init(&k);
	srand(seed);
	for (int i = 0; i < KEYS; i++)
		model[i] = (struct model){ -1, 0 };
	for (int w = 0; w < WATCHERS; w++) {
		memcpy(copy[w], model, sizeof model);
		from[w] = 1;
		asked[w] = false;
	}
	on_answer = watcher;
	for (int i = 0; i < steps; i++) {
		int n = rand() % KEYS, proc = 1 + rand() % 4, what = rand() % 100, v = rand() % 1000;
		struct model was = model[n];

		snprintf(key, sizeof key, "k%02d", n);
		snprintf(val, sizeof val, "%d", v);
		if (what < 50) {
			model[n] = (struct model){ v, what < 20 ? proc : 0 };
			txn(key, val, what < 20 ? KV_PROC : KV_LASTS, -1, (uint64_t)proc, 1);
		} else if (what < 65) {
			model[n] = (struct model){ -1, 0 };
			txn(key, NULL, KV_LASTS, -1, 1, 1);
		} else if (what < 80) {
			uint64_t rev = 0, now = k.rev;

			snprintf(val, sizeof val, "%d", was.val);
			bad += !value_is(key, was.val < 0 ? NULL : val, &rev);
			txn(key, "77777", KV_LASTS, (int64_t)(rev + (what & 1)), 1, 1);
			if ((what & 1) == 0)
				model[n] = (struct model){ 77777, 0 };
			bad += (k.rev != now) != ((what & 1) == 0);
		} else if (what < 85) {
			for (int j = 0; j < KEYS; j++)
				if (model[j].session == proc)
					model[j] = (struct model){ -1, 0 };
			SAY(1, 1, kv_gone, .proc = (uint64_t)proc);
		} else if (what < 86) {
			restart();
			for (unsigned w = 0; w < WATCHERS; w++)
				rewatch(w);
		} else {
			rewatch((unsigned)rand() % WATCHERS);
		}
		if (i % 16 == 0 && kv_check(&k) != 0) {
			printf("# seed %u step %d: line %d\n", seed, i, kv_check(&k));
			bad++;
			break;
		}
	}
	for (unsigned w = 0; w < WATCHERS; w++)
		for (int i = 0; i < 100 && from[w] <= k.rev && !asked[w]; i++)
			rewatch(w);
	for (unsigned w = 0; w < WATCHERS; w++)
		for (int i = 0; i < KEYS; i++)
			if (copy[w][i].val != model[i].val) {
				if (bad < 5)
					printf("# seed %u: watcher %u has %d at key %d, there is %d\n", seed, w, copy[w][i].val, i, model[i].val);
				bad++;
			}
	for (int i = 0; i < KEYS; i++) {
		snprintf(key, sizeof key, "k%02d", i);
		snprintf(val, sizeof val, "%d", model[i].val);
		bad += !value_is(key, model[i].val < 0 ? NULL : val, NULL);
	}
	ok(bad == 0);
	on_answer = NULL;
	kv_release(&k);
	disk_free();
}

/* the log is bounded in changes and bytes; whoever is behind is told */
static void
bounded(void)
{
	static char big[KV_VALUE_MAX / 4 + 1];

	kv_init(&k);
	memset(big, 'x', sizeof big - 1);
	for (int i = 0; i < 200; i++)
		txn("k1", big, KV_LASTS, -1, 1, 1);
	ok(k.log.bytes <= KV_LOG_BYTES && k.log.floor > 0 && kv_check(&k) == 0);
	SAY(1, 1, kv_watch, .req = 5, .from = k.log.floor);
	ok(last.type == MSG_FAIL_T && last.code == ERR_COMPACTED);
	SAY(1, 1, kv_watch, .req = 5, .from = k.log.floor + 1);
	ok(last.type == MSG_KV_EVENTS_T && last.next < k.rev && last.list.len < 2 * KV_ANSWER + KV_VALUE_MAX);
	kv_release(&k);
	kv_init(&k);
	for (int i = 0; i < (int)KV_LOG_MAX + 100; i++)
		txn("k1", "1", KV_LASTS, -1, 1, 1);
	ok(k.log.n <= KV_LOG_MAX && kv_check(&k) == 0);
	kv_release(&k);
	disk_free();
}

/* a transaction that compares nc keys and sets k0 .. k(n-1) */
static int
many(unsigned nc, unsigned n)
{
	struct buf cmp = BUF_INIT, ops = BUF_INIT;
	char key[16];
	int e;

	for (unsigned i = 0; i < nc + n; i++) {
		snprintf(key, sizeof key, "k%u", i < nc ? i : i - nc);
		if (i >= nc)
			mp_put_array(&ops, 3);
		mp_put_bin(i < nc ? &cmp : &ops, key, strlen(key));
		if (i >= nc)
			mp_put_bin(&ops, "v", 1);
		mp_put_uint(i < nc ? &cmp : &ops, 0);	/* not there; KV_LASTS */
	}
	e = SAY(1, 1, kv_txn, .req = 7, .compares = span_of(cmp.data, cmp.len), .ops = span_of(ops.data, ops.len), .proc = 1);
	buf_release(&cmp);
	buf_release(&ops);
	return e;
}

/* one transaction of changes as "KEY=VALUE", or "KEY" to delete it */
static int
several(const char *const *change)
{
	struct buf ops = BUF_INIT;
	int e;

	for (; *change; change++) {
		const char *eq = strchr(*change, '=');
		size_t n = eq ? (size_t)(eq - *change) : strlen(*change);

		mp_put_array(&ops, eq ? 3 : 1);
		mp_put_bin(&ops, *change, n);
		if (eq) {
			mp_put_bin(&ops, eq + 1, strlen(eq + 1));
			mp_put_uint(&ops, KV_LASTS);
		}
	}
	e = SAY(1, 1, kv_txn, .req = 8, .ops = span_of(ops.data, ops.len), .proc = 1);
	buf_release(&ops);
	return e;
}
#define SEVERAL(...) several((const char *const[]){ __VA_ARGS__, NULL })

/* what adds no bytes is accepted of a full store too */
static void
full(void)
{
	uint64_t was = k.bytes, over;

	SEVERAL("f1=12345678", "f2=12345678");
	over = KV_BYTES_MAX - k.bytes;
	k.bytes += over;				/* as if that much was there */
	txn("f1", "1234567", KV_LASTS, -1, 1, 1);
	ok(last.ok && k.bytes == KV_BYTES_MAX - 1);	/* a shorter value of a key that is there */
	txn("f1", "abcdefgh", KV_LASTS, -1, 1, 1);
	ok(last.ok && k.bytes == KV_BYTES_MAX);		/* and one as long as there is room */
	txn("f1", "123456789", KV_LASTS, -1, 1, 1);
	ok(last.code == ERR_FULL);			/* a longer one is not */
	SEVERAL("f1=123456789", "f2=1234567");
	ok(last.ok && k.bytes == KV_BYTES_MAX);		/* unless another one makes room for it, in any order */
	SEVERAL("f3=1234567", "f2");
	ok(last.ok && last.changed == 2);		/* or a deletion does */
	SEVERAL("f1=", "f1=", "f1=", "f1=123456789012");
	ok(last.code == ERR_FULL);			/* of several changes of one key the last one counts: no room is made twice */
	SEVERAL("f1=123456789012", "f1=1");
	ok(last.ok && last.changed == 2);
	SEVERAL("f1", "f3", "f9");
	ok(last.ok && last.changed == 2 && k.bytes == was + over && k.bytes < KV_BYTES_MAX);
	k.bytes -= over;
	ok(kv_check(&k) == 0);
}

/* each limit can be reached, and one more is refused with a line that says what it is */
static void
limits(void)
{
	static char big[KV_VALUE_MAX + 2];
	char key[KV_KEY_MAX + 2];
	uint64_t was;

	kv_init(&k);
	memset(key, 'k', sizeof key);
	key[KV_KEY_MAX] = '\0';
	txn(key, "1", KV_LASTS, -1, 1, 1);
	ok(last.ok);
	SAY(1, 1, kv_watch, .req = 2, .prefix = span_text(key));
	ok(k.log.nwatch == 1);
	key[KV_KEY_MAX] = 'k';
	key[KV_KEY_MAX + 1] = '\0';
	txn(key, "1", KV_LASTS, -1, 1, 1);
	ok(last.code == -ENAMETOOLONG);
	SAY(1, 1, kv_watch, .req = 2, .prefix = span_text(key));
	ok(last.code == -ENAMETOOLONG && strstr(last.text, "at most 255 bytes, this prefix has 256") && k.log.nwatch == 1);

	memset(big, 'x', sizeof big - 1);
	txn("v", big, KV_LASTS, -1, 1, 1);
	ok(last.code == -EMSGSIZE && strstr(last.text, "at most 1048576 bytes"));
	big[KV_VALUE_MAX] = '\0';
	txn("v", big, KV_LASTS, -1, 1, 1);
	ok(last.ok && last.changed == 1);

	ok(many(0, KV_OPS_MAX + 1) == 0 && last.code == -E2BIG && strstr(last.text, "at most 1024 changes"));
	ok(many(KV_OPS_MAX + 1, 1) == ERR_PROTO);	/* a client of ours sends no such thing */
	ok(many(KV_OPS_MAX, KV_OPS_MAX) == 0 && last.ok && last.changed == KV_OPS_MAX);

	was = k.bytes;
	k.bytes = KV_BYTES_MAX - 10;			/* as if that much was there */
	txn("full", "1234567", KV_LASTS, -1, 1, 1);
	ok(last.code == ERR_FULL && strstr(last.text, "it holds 255M of 256M"));
	txn("full", "123456", KV_LASTS, -1, 1, 1);
	ok(last.ok && k.bytes == KV_BYTES_MAX);
	txn("more", "", KV_LASTS, -1, 1, 1);
	ok(last.code == ERR_FULL);
	txn("full", NULL, KV_LASTS, -1, 1, 1);
	ok(last.ok && k.bytes == KV_BYTES_MAX - 10);	/* a deletion makes room */
	k.bytes = was;
	full();

	while (k.log.nwatch < KV_WATCHES_MAX && SAY(1, 1, kv_watch, .req = 3, .prefix = span_text("w/")) == 0 && last.type == 0)
		;
	ok(k.log.nwatch == KV_WATCHES_MAX);
	SAY(1, 1, kv_watch, .req = 4, .prefix = span_text("w/"));
	ok(last.code == -ENOMEM && strstr(last.text, "65536 watches") && k.log.nwatch == KV_WATCHES_MAX);
	ok(kv_check(&k) == 0);
	kv_release(&k);
	disk_free();
}

int
main(void)
{
	basics();
	limits();
	bounded();
	for (unsigned seed = 1; seed <= 30; seed++)
		random_sequence(seed, 3000);
	ok(events > 1000);
	ok(lies == 0);
	ok(broken == 0);
	ok(compacted > 0);		/* restarts forget the log */
	buf_release(&line);
	buf_release(&last.list);
	buf_release(&o.bytes);
	free(o.fx);
	return tap_done();
}
