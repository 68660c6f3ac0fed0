/*
 * seg - shared segments: memfds whose size is sealed, so that no peer can make our accesses fault.
 * Who receives a descriptor maps it with seg_map only, which refuses what is not sealed.
 * Mappings are not inherited by fork (MADV_DONTFORK).
 */
#ifndef OS_SEG_H
#define OS_SEG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

int	seg_create(const char *name, size_t bytes);	/* a descriptor (close-on-exec), zero-filled; -errno */
/* Maps all of it; *bytes is its size.  NULL with *err = ERR_LAYOUT (not sealed, empty) or -errno. */
void	*seg_map(int fd, size_t *bytes, bool write, int *err);
/*
 * The same for reading and writing, with all bytes after the first head (whole pages) mapped twice, one copy right after
 * the other: *bytes + (*bytes - head) in all, for seg_unmap.  What runs over the end of such a ring goes on at its start.
 */
void	*seg_map_twice(int fd, size_t head, size_t *bytes, int *err);
void	seg_unmap(void *p, size_t bytes);		/* p may be NULL */
int	seg_seal_future(int fd);	/* who maps it from now on can never write, nor add seals; earlier maps stay */
int	seg_reserve(int fd, uint64_t off, uint64_t n);	/* takes the pages now: -ENOSPC instead of SIGBUS later */
int	seg_punch(int fd, uint64_t off, uint64_t n);	/* gives the pages back; they read as zeros */

#endif
