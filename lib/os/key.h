/*
 * key - the cluster's key: whoever has it may do all that the cluster's user may, who has it not gets no answer.
 *
 * A key file is text, one key a line, `rota-key-1:` and 32 bytes in base64 (RFC 4648); lines that begin with # and empty
 * ones are comments.  The first key is offered, all are accepted: that is how a key is rotated.  Behind a key may stand
 * `# until N`, seconds since 1970: from then on it is as if it were not there.  Nothing is ever done with
 * a key itself but deriving others from it, by HKDF-SHA256 (RFC 5869) with a label each; what names a key in messages and
 * on the wire is its id, eight hex digits derived in the same way, which tell nothing of the key.
 */
#ifndef OS_KEY_H
#define OS_KEY_H

#include <stddef.h>
#include <stdint.h>

enum { KEY_BYTES = 32, KEY_ID = 10, KEYS_MAX = 8 };	/* KEY_ID: "3f9a-22c1" and its end */

struct key {
	unsigned char secret[KEY_BYTES];
	char id[KEY_ID];
};

struct keys {				/* of one file, in its order */
	unsigned n;
	uint32_t until[KEYS_MAX];	/* 0: ever */
	struct key key[KEYS_MAX];
};

struct key_file {			/* one that is followed; begin with { .path = ... } */
	const char *path;		/* the caller's */
	uint64_t changed, inode;	/* private: as it was when it was read last */
	uint32_t until;			/* the soonest of its keys */
};

int	key_new(struct key *k);		/* from the kernel's random bytes: 0 or -errno */
/* out: KEY_BYTES derived from k for the use that label names ("tls", "http token", ...): 0, or -EIO if the library fails. */
int	key_derive(const struct key *k, const char *label, unsigned char out[KEY_BYTES]);

/*
 * Reads the file: 0, or -ENOENT, -EPERM it is another user's, -EACCES others may read it, ERR_VALUE it is no key file,
 * -errno; why: one line for the user, which names the file and line.  The file is a regular one, at most 64 KiB.
 */
int	keys_read(struct keys *k, const char *path, char *why, size_t n);
/* Writes it by rename, mode 0600, synced; directories that are missing are made, 0700.  Same results, -EEXIST if new and it is there. */
int	keys_write(const struct keys *k, const char *path, int new, char *why, size_t n);
/* 1: the file is another one than at the last call, or a key's time is over: k is what it says now; 0: it is not, or cannot be read. */
int	key_file_changed(struct key_file *f, struct keys *k);
void	keys_wipe(struct keys *k);	/* before the memory is given back */

#endif
