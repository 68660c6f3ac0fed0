/*
 * dir - this user's directory for sockets, spill and logs: $ROTA_DIR, else $XDG_RUNTIME_DIR/rota, else
 * /tmp/rota-UID.  It must be a real directory, ours and private; all work in it is relative to its descriptor.
 */
#ifndef OS_DIR_H
#define OS_DIR_H

#include <stddef.h>

#define DIR_LOCAL "local.sock"		/* of the lasting node */
#define DIR_SHARED "shared.sock"	/* of the private node that the user's programs share; a program's own: own-PID.sock */

/*
 * Makes it if missing (0700) and opens it: a descriptor, close-on-exec, with its name in path.
 * -EPERM another's, -EACCES others may enter, -ENOTDIR no directory, -ELOOP a symbolic link, or -errno;
 * path is set on failure too, and dir_why() is the text for the message.
 */
int	dir_open(char *path, size_t n);
/* Names each socket of a node in it, "unix:PATH": nothing may answer there any more.  0, or dir_open's errors. */
int	dir_nodes(void (*one)(void *arg, const char *address), void *arg);
const char *dir_why(void);	/* "'/tmp/rota-0' belongs to uid 33"; valid in this thread until the next of these */

#endif
