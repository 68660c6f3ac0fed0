/*
 * kv_inner - what the files of the key-value store share.  Private to kv.c, kv_keys.c, kv_txn.c and kv_log.c.
 */
#ifndef CORE_KV_INNER_H
#define CORE_KV_INNER_H

#include "base/list.h"
#include "base/span.h"
#include "core/control_fx.h"
#include "core/kv.h"
#include "wire/mp.h"

struct kv_owner {			/* a process or a job that keys are bound to */
	uint64_t id;			/* kv_session_id */
	uint32_t node;
	struct list entries;
};

struct kv_entry {
	uint64_t made, changed;
	struct kv_owner *session;	/* NULL: it lasts */
	struct list bysession;
	unsigned char *val;
	size_t nval;
	unsigned nkey, levels;
	struct kv_entry *next[];	/* levels of them; then the key */
};

struct kv_change {			/* of a transaction, checked */
	struct span key, val;
	bool del;
	enum kv_session session;
};

static inline struct span
kv_key(const struct kv_entry *e)
{
	return span_of(&e->next[e->levels], e->nkey);
}

/* kv_keys.c */
int	kv_order(struct span a, struct span b);		/* < 0, 0, > 0, as memcmp */
/* the first entry not before key; prev, or NULL: prev[i] is the link at level i that leads to it or past it */
struct kv_entry *kv_seek(struct kv *k, struct span key, struct kv_entry **prev[KV_LEVELS]);
struct kv_entry *kv_find(struct kv *k, struct span key);	/* NULL: there is none */
struct kv_entry *kv_entry_new(struct kv *k, struct span key);	/* in its place, without a value; NULL */
void	kv_entry_free(struct kv *k, struct kv_entry *e);	/* that is all: nobody is told */
uint64_t kv_session_id(uint32_t node, enum kv_session kind, uint64_t number);
int	kv_bind(struct kv *k, struct kv_entry *e, uint64_t id, uint32_t node);	/* to that session; 0 or -ENOMEM */
/* One change each, at revision k->rev, told and written down; kv_sealed once that revision is complete. */
int	kv_put(struct kv *k, const struct kv_change *c, uint64_t session, uint32_t node, struct control_out *o);	/* 0 or -ENOMEM */
void	kv_delete(struct kv *k, struct kv_entry *e, struct control_out *o);
void	kv_sealed(struct kv *k, struct control_out *o);
void	kv_session_end(struct kv *k, struct kv_owner *s, struct control_out *o);	/* its keys are deleted, s is freed */

/* kv_txn.c */
int	kv_txn(struct kv *k, uint64_t peer, uint32_t node, const struct frame *f, struct control_out *o);	/* KV_TXN: as kv_step */
int	kv_get_number(struct mp *r, uint64_t *u);	/* 0 or ERR_PROTO */

/* kv_log.c */
void	kv_log_add(struct kv *k, struct span key, const void *val, size_t n);	/* val NULL: deleted; at revision k->rev */
void	kv_log_tell(struct kv *k, struct control_out *o);	/* revision k->rev is complete */
int	kv_log_watch(struct kv *k, uint64_t peer, const struct frame *f, struct control_out *o);
int	kv_log_cancel(struct kv *k, uint64_t peer, const struct frame *f);
void	kv_log_peer_gone(struct kv *k, uint64_t peer);
void	kv_log_release(struct kv *k);
int	kv_log_check(const struct kv *k);

#endif
