#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/grow.h"
#include "core/control_fx.h"
#include "wire/mp.h"

struct control_fx *
control_fx_add(struct control_out *o, enum control_fx_kind kind)
{
	static struct control_fx lost;
	struct control_fx *p = grow(o->fx, &o->cap, o->n, sizeof *p);

	if (p == NULL)
		return &lost;
	o->fx = p;
	p[o->n] = (struct control_fx){ .kind = kind };
	return &p[o->n++];
}

void
control_fx_put(struct control_out *o, struct span key, const void *val, size_t n)
{
	size_t at = o->bytes.len;
	struct control_fx *fx;

	if (buf_add(&o->bytes, key.p, key.n) < 0 || (n && buf_add(&o->bytes, val, n) < 0))
		return;
	fx = control_fx_add(o, val ? CONTROL_FX_PUT : CONTROL_FX_DEL);
	fx->key = at;
	fx->nkey = key.n;
	fx->val = at + key.n;
	fx->nval = n;
}

struct control_past
control_past_begin(struct control_out *o)
{
	return (struct control_past){ .o = o, .at = o->bytes.len };
}

void
control_past_u(struct control_past *p, const char *column, uint64_t v)
{
	if (mp_put_str(&p->o->bytes, column, strlen(column)) == 0 && mp_put_uint(&p->o->bytes, v) == 0)
		p->n++;
}

void
control_past_s(struct control_past *p, const char *column, struct span s)
{
	if (s.n && mp_put_str(&p->o->bytes, column, strlen(column)) == 0 && mp_put_str(&p->o->bytes, s.p, s.n) == 0)
		p->n++;
}

void
control_past_end(struct control_past *p, const char *list)
{
	size_t len = p->o->bytes.len - p->at, n = strlen(list);
	struct control_fx *fx;

	if (buf_add(&p->o->bytes, list, n) < 0)
		return;
	fx = control_fx_add(p->o, CONTROL_FX_PAST);
	fx->columns = p->n;
	fx->val = p->at;
	fx->nval = len;
	fx->key = p->at + len;
	fx->nkey = n;
}

void
control_fx_fail(struct control_out *o, uint64_t peer, uint64_t req, int code, const char *fmt, ...)
{
	char text[768];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	CONTROL_SEND(o, peer, fail, .req = req, .code = code, .text = span_text(text));
}
