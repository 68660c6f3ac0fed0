/*
 * disk - what a control store keeps: keys and values, of which a crash leaves those of the last commit that was done.
 * Commits are done one batch after the other, each with all that came while the one before was under way.
 */
#ifndef SIM_DISK_H
#define SIM_DISK_H

#include "core/control.h"
#include "sim.h"

struct disk_row {
	struct disk_row *next;		/* same hash */
	struct buf key, val;
};

struct disk_write {
	struct list link;
	uint64_t commit;
	bool del;
	struct buf key, val;
};

struct disk {
	struct map rows;		/* hash of key -> struct disk_row * */
	struct list waiting;		/* writes that are not done, oldest first */
	uint64_t done;			/* the last commit that is */
	bool busy;
};

void	disk_init(struct disk *d);
void	disk_release(struct disk *d);
void	disk_write(struct disk *d, const struct control_fx *fx, const unsigned char *bytes);	/* a PUT or DEL */
void	disk_commit(struct disk *d, uint64_t upto);	/* all writes of commits up to this one are done */
void	disk_crash(struct disk *d);			/* those that wait are lost */
const struct disk_row *disk_get(const struct disk *d, const char *key);
const struct disk_row *disk_next(const struct disk *d, struct map_iter *it, const struct disk_row *row);	/* row NULL begins */

#endif
