/* base_list.c - a list keeps order, members unlink themselves, lists are joined, walks survive deletion */
#include "tap.h"
#include "base/list.h"

struct item {
	int n;
	struct list link;
};

static int
digits(const struct list *head)		/* the numbers in order, as decimal digits; the links backwards must agree */
{
	int n = 0;
	size_t len = 0, back = 0;

	list_each(p, head) {
		n = n * 10 + list_entry(p, struct item, link)->n;
		len++;
	}
	for (struct list *p = head->prev; p != head; p = p->prev)
		back++;
	return len == back ? n : -1;
}

int
main(void)
{
	struct list head = LIST_INIT(head), other = LIST_INIT(other);
	struct item v[10];
	int i;

	for (i = 0; i < 10; i++) {
		v[i].n = i;
		list_init(&v[i].link);
	}
	ok(list_empty(&head) && list_first(&head) == NULL && list_shift(&head) == NULL && digits(&head) == 0);
	list_add_tail(&head, &v[2].link);
	list_add_tail(&head, &v[3].link);
	list_add(&head, &v[1].link);
	ok(digits(&head) == 123 && !list_empty(&head) && list_first(&head) == &v[1].link);
	list_del(&v[2].link);
	ok(digits(&head) == 13 && list_empty(&v[2].link));
	list_del(&v[2].link);
	ok(digits(&head) == 13);
	list_splice_tail(&head, &other);
	ok(digits(&head) == 13);
	list_add_tail(&other, &v[4].link);
	list_add_tail(&other, &v[5].link);
	list_splice_tail(&head, &other);
	ok(digits(&head) == 1345 && list_empty(&other));
	list_splice_tail(&other, &head);
	ok(digits(&other) == 1345 && list_empty(&head));
	ok(list_shift(&other) == &v[1].link && digits(&other) == 345);
	list_each_safe(p, q, &other)
		if (list_entry(p, struct item, link)->n % 2)
			list_del(p);
	ok(digits(&other) == 4);
	return tap_done();
}
