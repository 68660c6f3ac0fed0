#include <lauxlib.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "script/alloc.h"

#define CHUNK_MIN (64u << 10)
#define CHUNK_MAX (4u << 20)		/* two huge pages, where the system has them */
#define CLASSES (ALLOC_SMALL / ALLOC_STEP)

struct block {
	struct block *next;
};

static struct pool {
	struct block *free[CLASSES + 1];
	unsigned char *at, *end;	/* the untouched rest of the current chunk */
	size_t chunk;			/* size of the next one */
} pool = { .chunk = CHUNK_MIN };

bool (*alloc_short)(size_t n);

/* as realloc; m NULL: as malloc */
static void *
large(void *m, size_t n)
{
	void *q = m ? realloc(m, n) : malloc(n);

	return q || !alloc_short || !alloc_short(n) ? q : realloc(m, n);
}

static void *
fresh(struct pool *p, size_t n)
{
	void *m;

	if ((size_t)(p->end - p->at) < n) {
		m = mmap(NULL, p->chunk, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0);
		if (m == MAP_FAILED)
			return NULL;
		if (p->chunk >= CHUNK_MAX)
			madvise(m, p->chunk, MADV_HUGEPAGE);	/* fewer faults for who holds millions; a hint */
		p->at = m;
		p->end = p->at + p->chunk;
		if (p->chunk < CHUNK_MAX)
			p->chunk *= 2;
	}
	m = p->at;
	p->at += n;
	return m;
}

static inline unsigned
class_of(size_t n)			/* 1 .. CLASSES for 1 .. ALLOC_SMALL */
{
	return (unsigned)((n + ALLOC_STEP - 1) / ALLOC_STEP);
}

static inline void *
take(struct pool *p, size_t n)
{
	unsigned k = class_of(n);
	struct block *b = p->free[k];

	if (!b)
		return fresh(p, (size_t)k * ALLOC_STEP);
	p->free[k] = b->next;
	return b;
}

static inline void
give(struct pool *p, void *m, size_t n)
{
	struct block *b = m;
	unsigned k = class_of(n);

	b->next = p->free[k];
	p->free[k] = b;
}

/* osize is a type tag, not a size, when m is NULL (lua_Alloc) */
static void *
resize(void *ud, void *m, size_t osize, size_t nsize)
{
	struct pool *p = ud;
	void *q;

	if (!m)
		return nsize == 0 ? NULL : nsize <= ALLOC_SMALL ? take(p, nsize) : large(NULL, nsize);
	if (nsize == 0) {
		if (osize <= ALLOC_SMALL)
			give(p, m, osize);
		else
			free(m);
		return NULL;
	}
	if (osize > ALLOC_SMALL && nsize > ALLOC_SMALL)
		return large(m, nsize);
	if (osize <= ALLOC_SMALL && nsize <= ALLOC_SMALL && class_of(osize) == class_of(nsize))
		return m;
	if (!(q = nsize <= ALLOC_SMALL ? take(p, nsize) : large(NULL, nsize)))
		return NULL;
	memcpy(q, m, osize < nsize ? osize : nsize);
	if (osize <= ALLOC_SMALL)
		give(p, m, osize);
	else
		free(m);
	return q;
}

static int
panic(lua_State *L)
{
	const char *msg = lua_tostring(L, -1);

	fprintf(stderr, "PANIC: unprotected error in call to Lua API (%s)\n", msg ? msg : "error object is not a string");
	return 0;
}

static void
warn(void *ud, const char *msg, int more)	/* off, as in lua5.4, until warn("@on") */
{
	static bool on, continued;

	(void)ud;
	if (!continued && !more && *msg == '@') {
		if (strcmp(msg, "@on") == 0 || strcmp(msg, "@off") == 0)
			on = msg[2] == 'n';
		return;
	}
	if (on)
		fprintf(stderr, "%s%s%s", continued ? "" : "Lua warning: ", msg, more ? "" : "\n");
	continued = more;
}

lua_State *
alloc_newstate(void)
{
#ifdef __SANITIZE_ADDRESS__
	lua_State *L = luaL_newstate();		/* its every block watched */
#else
	lua_State *L = lua_newstate(resize, &pool);
#endif

	(void)resize, (void)pool;
	if (L) {
		lua_atpanic(L, panic);
		lua_setwarnf(L, warn, L);
	}
	return L;
}
