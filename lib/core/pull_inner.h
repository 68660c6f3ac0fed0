/* pull_inner - what the parts of pull share: pull.c inputs, pull_window.c chunks and sources, pull_turn.c room and turns. */
#ifndef CORE_PULL_INNER_H
#define CORE_PULL_INNER_H

#include "core/pull.h"

#define PULL_SLOT 48u			/* bytes counted for an entry of the tables */
#define PULL_NEVER UINT64_MAX

enum { PULL_SOURCES = 2, PULL_CRITICAL = 24 };	/* effects that one object's input has at most, chunks not counted */

/* pull_window.c */
int	pull_fx_room(struct pull_out *o, size_t n);	/* for so many more: 0 or -ENOMEM; then pull_fx_add cannot fail */
struct pull_fx *pull_fx_add(struct pull_out *o, enum pull_fx_kind kind, const struct pull *p, uint32_t node);
void	pull_ask(struct pull *p, uint64_t now, struct pull_out *o);	/* for as many chunks as the window has room for */
void	pull_unask(struct pull *p, struct pull_source *s);	/* what was asked of it and has not come is not asked for any more */
void	pull_pace(struct pull_source *s, const struct pull_chunk *k, uint64_t chunk, uint64_t now);	/* chunk k has come */
uint64_t pull_chunk_size(uint64_t bytes);		/* for an object */
uint64_t pull_chunks(const struct pull *p);		/* how many it has */
uint64_t pull_chunk_bytes(const struct pull *p, uint64_t k);
struct pull_chunk *pull_chunk_at(struct pull *p, uint64_t k);
struct pull_source *pull_source_of(struct pull *p, uint32_t node);	/* NULL: it is none */
bool	pull_sourced(const struct pull *p);		/* has it any? */
struct pull_peer *pull_peer_get(struct pull_core *c, uint32_t node);	/* NULL: no memory */
void	pull_peer_idle(struct pull_core *c, struct pull_peer *e);	/* freed if it is */
void	pull_source_end(struct pull_core *c, struct pull *p, struct pull_source *s, bool stop, struct pull_out *o);
void	pull_sources_end(struct pull_core *c, struct pull *p, struct pull_out *o);
/* A source gave nothing, refused or is gone; stop: tell it that nothing is wanted any more. */
void	pull_source_lost(struct pull_core *c, uint64_t now, struct pull *p, struct pull_source *s, bool stop, struct pull_out *o);
void	pull_want(struct pull *p, uint32_t not, struct pull_out *o);	/* asks the owner's node */

/* pull_turn.c */
void	pull_reserve(struct pull_core *c, struct pull *p, struct pull_out *o);	/* p may be gone after it */
void	pull_room_drop(struct pull_core *c, struct pull *p, struct pull_out *o);	/* what was received is lost */
void	pull_room_free(struct pull_core *c, struct pull_room *r);
void	pull_room_unused(struct pull_core *c, struct pull_room *r, struct pull_out *o);	/* gives it back */
void	pull_enqueue(struct pull_core *c, struct pull *p, bool first);
void	pull_admit(struct pull_core *c, uint64_t now, struct pull_out *o);	/* those that fit now */
bool	pull_finished(struct pull_core *c, struct pull *p, struct pull_out *o);	/* true: it was, and p is gone */
void	pull_quit(struct pull *p, struct pull_out *o);	/* tells the owner's node that it is not wanted any more */
void	pull_fail(struct pull_core *c, struct pull *p, struct pull_out *o, int code, const char *fmt, ...)	/* p is gone after it */
	__attribute__((format(printf, 5, 6)));
void	pull_free(struct pull_core *c, struct pull *p, struct pull_out *o);
void	pull_set_timer(struct pull_core *c, struct pull *p, uint64_t now);
void	pull_on_timer(struct pull_core *c, uint64_t now, struct pull *p, struct pull_out *o);

#endif
