/*
 * list - intrusive doubly linked list.  A struct list is a head or is embedded in an element; the list owns
 * nothing.  list_init before use; an unlinked element points to itself, so deleting it twice is harmless.
 *
 *	list_each(p, &head) { struct job *j = list_entry(p, struct job, link); ... }
 *	list_each_safe(p, q, &head) the same, and p may be unlinked or freed inside
 */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
	struct list *next, *prev;
};

#define LIST_INIT(head) { &(head), &(head) }
#define list_entry(p, type, member) ((type *)(void *)((char *)(p) - offsetof(type, member)))
#define list_each(p, head) \
	for (struct list *p = (head)->next; p != (head); p = p->next)
#define list_each_safe(p, q, head) \
	for (struct list *p = (head)->next, *q = p->next; p != (head); p = q, q = p->next)

static inline void
list_init(struct list *l)
{
	l->next = l->prev = l;
}

static inline bool
list_empty(const struct list *l)	/* of a head: no elements; of an element: not linked */
{
	return l->next == l;
}

static inline void
list_add(struct list *head, struct list *l)	/* l, which is not linked, becomes the first */
{
	l->next = head->next;
	l->prev = head;
	head->next->prev = l;
	head->next = l;
}

static inline void
list_add_tail(struct list *head, struct list *l)	/* l, which is not linked, becomes the last */
{
	list_add(head->prev, l);
}

static inline void
list_del(struct list *l)
{
	l->next->prev = l->prev;
	l->prev->next = l->next;
	list_init(l);
}

static inline struct list *
list_first(const struct list *head)	/* NULL if empty */
{
	return list_empty(head) ? NULL : head->next;
}

static inline struct list *
list_shift(struct list *head)		/* unlinks and returns the first, NULL if empty */
{
	struct list *l = list_first(head);

	if (l)
		list_del(l);
	return l;
}

static inline void
list_splice_tail(struct list *head, struct list *from)	/* moves all of from to the end of head */
{
	if (list_empty(from))
		return;
	from->next->prev = head->prev;
	head->prev->next = from->next;
	from->prev->next = head;
	head->prev = from->prev;
	list_init(from);
}

#endif
