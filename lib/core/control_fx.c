#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/grow.h"
#include "core/control_fx.h"

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
