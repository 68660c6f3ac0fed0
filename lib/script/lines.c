#include "client/serve.h"
#include "script/lines.h"
#include "script/script.h"

void
lines_run(struct script *s, struct task_in *t)
{
	struct buf b = BUF_INIT;
	struct payload p;

	val_error(&b, ERR_PROTO, "this worker knows no such kind of task", t->fn.name, NULL, t->rec.attempt + 1u, NULL);
	p = (struct payload){ b.data, b.len, 1, PAYLOAD_ERROR, NULL, 0 };
	serve_done(s->c, t, &p, 0, false);
	buf_release(&b);
}
