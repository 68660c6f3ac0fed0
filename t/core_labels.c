/* core_labels.c - labels of nodes and expressions over them: both forms, what matches, one text, every fault said with its place */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "core/labels.h"
#include "tap.h"

static char why[LABELS_WHY];

static bool
matches(const char *expr, const char *of)
{
	struct label_expr e = { 0 };
	struct labels l = { 0 };
	bool is;

	if (label_expr_parse(&e, span_text(expr), why) < 0 || labels_parse(&l, span_text(of), why) < 0) {
		printf("# %s\n", why);
		exit(1);
	}
	is = label_expr_match(&e, &l);
	label_expr_release(&e);
	labels_release(&l);
	return is;
}

static bool
reads(const char *expr, const char *as)			/* its one text */
{
	struct label_expr e = { 0 };
	struct buf b = BUF_INIT;
	bool same;

	if (label_expr_parse(&e, span_text(expr), why) < 0) {
		printf("# %s\n", why);
		return false;
	}
	same = label_expr_text(&e, &b) == 0 && span_is(span_of(b.len ? (char *)b.data : "", b.len), as);
	if (!same)
		printf("# %.*s\n", (int)b.len, (char *)b.data);
	buf_release(&b);
	label_expr_release(&e);
	return same;
}

static bool
faulty(const char *expr, const char *line)
{
	struct label_expr e = { 0 };

	if (label_expr_parse(&e, span_text("kept=1"), why) < 0)
		return false;
	if (label_expr_parse(&e, span_text(expr), why) != -EINVAL || strcmp(why, line) != 0 || e.n != 1) {
		printf("# %s\n", why);
		return false;
	}
	label_expr_release(&e);
	return true;
}

static bool
bad_labels(const char *text, const char *line)
{
	struct labels l = { 0 };

	if (labels_parse(&l, span_text(text), why) != -EINVAL || strcmp(why, line) != 0 || l.n) {
		printf("# %s\n", why);
		return false;
	}
	return true;
}

static void
of_nodes(void)
{
	struct labels l = { 0 };
	struct buf b = BUF_INIT;

	ok(labels_parse(&l, span_text(" zone = eu ,disk=ssd,ray.io/gpu=NVIDIA-A100"), why) == 0 && l.n == 3);
	ok(strcmp(labels_get(&l, "zone"), "eu") == 0 && labels_get(&l, "zon") == NULL && labels_get(&l, "zones") == NULL);
	ok(labels_put(&l, span_text("zone"), span_text("us"), why) == 0 && l.n == 3 && strcmp(labels_get(&l, "zone"), "us") == 0);
	ok(labels_put(&l, span_text("a"), span_text("10.0.0.1:80"), why) == 0 && l.n == 4);
	ok(labels_put(&l, span_text("a"), span_text("x y"), why) == -EINVAL && strcmp(why, "labels 'x y': expected the end of a value at 2, not ' '") == 0);
	ok(labels_put(&l, span_text("a="), span_text("x"), why) == -EINVAL && l.n == 4);
	ok(labels_text(&l, &b) == 0 && span_is(span_of(b.data, b.len), "a=10.0.0.1:80,disk=ssd,ray.io/gpu=NVIDIA-A100,zone=us"));
	labels_release(&l);
	ok(labels_parse(&l, span_of(b.data, b.len), why) == 0 && l.n == 4);
	ok(labels_parse(&l, span_of(NULL, 0), why) == 0 && l.n == 0);
	buf_release(&b);
	ok(bad_labels("zone", "labels 'zone': expected '=' at 5, not the end"));
	ok(bad_labels("zone=", "labels 'zone=': expected a value at 6, not the end"));
	ok(bad_labels("zone=eu,", "labels 'zone=eu,': expected the name of a label at 9, not the end"));
	ok(bad_labels("zone=eu disk=x", "labels 'zone=eu disk=x': expected ',' or the end at 9, not 'd'"));
	ok(bad_labels("zone=!eu", "labels 'zone=!eu': expected a value at 6, not '!'"));
	ok(bad_labels("a=1,b=2,a=3", "labels 'a=1,b=2,a=3': 'a' is given twice"));
	ok(bad_labels("a\x01=1", "labels 'a?=1': expected '=' at 2, not byte 1"));
}

static void
both_forms(void)
{
	struct label_expr text = { 0 }, table = { 0 };
	struct buf a = BUF_INIT, b = BUF_INIT;

	ok(label_expr_parse(&text, span_text("gpu=a100,zone!=eu,disk=in(ssd,nvme),rack=!in(r1, r2)"), why) == 0 && text.n == 4);
	ok(label_expr_add(&table, span_text("rack"), span_text("!in(r2,r1,r2)"), why) == 0);
	ok(label_expr_add(&table, span_text("disk"), span_text("in( nvme , ssd )"), why) == 0);
	ok(label_expr_add(&table, span_text("zone"), span_text("!eu"), why) == 0);
	ok(label_expr_add(&table, span_text("gpu"), span_text("a100"), why) == 0 && table.n == 4);
	ok(label_expr_text(&text, &a) == 0 && label_expr_text(&table, &b) == 0 && a.len == b.len && memcmp(a.data, b.data, a.len) == 0);
	ok(span_is(span_of(a.data, a.len), "disk=in(nvme,ssd),gpu=a100,rack!=in(r1,r2),zone!=eu"));
	ok(label_expr_add(&table, span_text("gpu"), span_text("a100,zone=us"), why) == -EINVAL && table.n == 4 &&
	    strcmp(why, "labels 'a100,zone=us': expected the end of a value at 5, not ','") == 0);
	ok(label_expr_add(&table, span_text("g pu"), span_text("a100"), why) == -EINVAL && table.n == 4);
	ok(label_expr_add(&table, span_text("gpu"), span_text(""), why) == -EINVAL &&
	    strcmp(why, "labels '': expected a value, !value, in(...) or !in(...) at 1, not the end") == 0);
	label_expr_release(&text);
	label_expr_release(&table);
	buf_release(&a);
	buf_release(&b);
	ok(reads("", "") && reads("  ", "") && reads("a = in ( x )", "a=x") && reads("a!=x,a=!x , a=!in(x)", "a!=x"));
	ok(reads("a=in,b=in(in)", "a=in,b=in") && reads("z=1,a=!2,a=3", "a=3,a!=2,z=1"));
}

static void
what_matches(void)
{
	ok(matches("", "") && matches("", "zone=eu"));
	ok(matches("zone=eu", "zone=eu") && !matches("zone=eu", "zone=us") && !matches("zone=eu", "") && !matches("zone=eu", "zone=eu2"));
	ok(!matches("zone!=eu", "zone=eu") && matches("zone!=eu", "zone=us") && matches("zone!=eu", ""));
	ok(matches("d=in(ssd,nvme)", "d=nvme") && !matches("d=in(ssd,nvme)", "d=hdd") && !matches("d=in(ssd,nvme)", "e=ssd"));
	ok(!matches("d=!in(ssd,nvme)", "d=nvme") && matches("d=!in(ssd,nvme)", "d=hdd") && matches("d=!in(ssd,nvme)", "e=ssd"));
	ok(matches("a=1,c=3", "a=1,b=2,c=3") && !matches("a=1,c=3", "a=1,b=2") && !matches("a=1,b=3", "a=1,b=2,c=3"));
	ok(matches("z!=1,z!=2", "z=3") && !matches("z!=1,z!=2", "z=2") && !matches("z=1,z=2", "z=1"));
}

static void
fallbacks(void)
{
	struct label_expr e[3] = { { 0 } };
	struct labels l = { 0 };

	ok(label_expr_first(NULL, 0, &l) == 0);
	ok(label_expr_parse(&e[0], span_text("gpu=h100"), why) == 0 && label_expr_parse(&e[1], span_text("gpu!=none,zone=eu"), why) == 0);
	ok(label_expr_first(e, 2, &l) == 2 && label_expr_first(e, 3, &l) == 2);		/* the third: any node */
	ok(labels_parse(&l, span_text("zone=eu"), why) == 0 && label_expr_first(e, 3, &l) == 1);
	ok(labels_parse(&l, span_text("zone=eu,gpu=h100"), why) == 0 && label_expr_first(e, 3, &l) == 0);
	labels_release(&l);
	for (int i = 0; i < 3; i++)
		label_expr_release(&e[i]);
}

static void
faults(void)
{
	static char many[3000];
	struct label_expr e = { 0 };
	size_t n = 0;

	ok(faulty("gpu", "labels 'gpu': expected '=' or '!=' at 4, not the end"));
	ok(faulty("gpu!", "labels 'gpu!': expected '=' at 5, not the end"));
	ok(faulty("gpu==1", "labels 'gpu==1': expected a value, !value, in(...) or !in(...) at 5, not '='"));
	ok(faulty("gpu!=!1", "labels 'gpu!=!1': expected a value or in(...) at 6, not '!'"));
	ok(faulty("gpu=!", "labels 'gpu=!': expected a value or in(...) at 6, not the end"));
	ok(faulty("d=in(", "labels 'd=in(': expected a value at 6, not the end"));
	ok(faulty("d=in()", "labels 'd=in()': expected a value at 6, not ')'"));
	ok(faulty("d=in(a,)", "labels 'd=in(a,)': expected a value at 8, not ')'"));
	ok(faulty("d=in(a b)", "labels 'd=in(a b)': expected ',' or ')' at 8, not 'b'"));
	ok(faulty("d=in(a),", "labels 'd=in(a),': expected the name of a label at 9, not the end"));
	ok(faulty(",", "labels ',': expected the name of a label at 1, not ','"));
	ok(faulty("a=b)", "labels 'a=b)': expected ',' or the end at 4, not ')'"));
	ok(faulty("a>3", "labels 'a>3': expected '=' or '!=' at 2, not '>'"));
	memset(many, 'x', 200);
	ok(faulty(many, "labels 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx..': expected a name of at most 127 bytes at 1, not 'x'"));
	many[LABEL_MAX] = '=';
	many[LABEL_MAX + 2] = '\0';
	ok(label_expr_parse(&e, span_text(many), why) == 0);
	for (unsigned i = 0; i < 65; i++)
		n += (size_t)snprintf(many + n, sizeof many - n, "%sl%u=1", i ? "," : "", i);
	ok(label_expr_parse(&e, span_text(many), why) == -EINVAL && strstr(why, "more than 64 terms"));
	n = (size_t)snprintf(many, sizeof many, "l=in(0");
	for (unsigned i = 1; i < 65; i++)
		n += (size_t)snprintf(many + n, sizeof many - n, ",%u", i);
	snprintf(many + n, sizeof many - n, ")");
	ok(label_expr_parse(&e, span_text(many), why) == -EINVAL && strstr(why, "more than 64 values"));
	label_expr_release(&e);
}

static void
alternatives(void)
{
	struct labels_any a = { 0 };
	struct buf many = BUF_INIT;

	ok(labels_any_parse(&a, span_text(""), why) == 0 && a.n == 0);
	ok(labels_any_parse(&a, span_text("zone=eu,gpu=a100;zone=us;"), why) == 0 && a.n == 3);
	ok(a.v[0].n == 2 && a.v[1].n == 1 && a.v[2].n == 0);
	ok(labels_any_parse(&a, span_text("zone=eu;zone"), why) == -EINVAL && strstr(why, "expected '='") && a.n == 3);
	for (unsigned i = 0; i < LABELS_MAX; i++)
		buf_add(&many, ";", 1);
	ok(labels_any_parse(&a, span_of(many.data, many.len), why) == -EINVAL && strstr(why, "64"));
	ok(labels_any_parse(&a, span_of(many.data, many.len - 1), why) == 0 && a.n == LABELS_MAX);
	buf_release(&many);
	labels_any_release(&a);
}

int
main(void)
{
	alternatives();
	of_nodes();
	both_forms();
	what_matches();
	fallbacks();
	faults();
	return tap_done();
}
