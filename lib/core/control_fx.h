/*
 * control_fx - what the decisions of the control store (control.c, kv.c) append to their effects.
 * A write belongs to the commit of the step under way: control.c numbers all effects of a step when it is over.
 * Without memory an effect is dropped.
 */
#ifndef CORE_CONTROL_FX_H
#define CORE_CONTROL_FX_H

#include "base/span.h"
#include "core/control.h"

struct control_fx *control_fx_add(struct control_out *o, enum control_fx_kind kind);
void	control_fx_put(struct control_out *o, struct span key, const void *val, size_t n);	/* val NULL: deletes */
/* What is over, for who asks later: columns with a value go in, then it is done. */
struct control_past {
	struct control_out *o;
	size_t at;
	unsigned n;
};
struct control_past control_past_begin(struct control_out *o);
void	control_past_u(struct control_past *p, const char *column, uint64_t v);
void	control_past_s(struct control_past *p, const char *column, struct span s);	/* empty: left out */
void	control_past_end(struct control_past *p, const char *list);
void	control_fx_fail(struct control_out *o, uint64_t peer, uint64_t req, int code, const char *fmt, ...)
	    __attribute__((format(printf, 5, 6)));

#define CONTROL_SEND(o, to, name, ...) do { \
	size_t at_ = (o)->bytes.len; \
	if (msg_put_##name(&(o)->bytes, &(struct msg_##name){ __VA_ARGS__ }) == 0) { \
		struct control_fx *fx_ = control_fx_add((o), CONTROL_FX_SEND); \
		fx_->peer = (to); \
		fx_->val = at_; \
		fx_->nval = (o)->bytes.len - at_; \
	} \
} while (0)

#endif
