/*
 * dir - this user's directory for sockets, spill and logs: $ROTA_DIR, else $XDG_RUNTIME_DIR/rota, else
 * /tmp/rota-UID.  It must be a real directory, ours and private; all work in it is relative to its descriptor.
 * And directories and files elsewhere that nobody else may have laid there, or may change under us.
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
/*
 * Opens the directory at path: a descriptor, close-on-exec.  The errors are those of dir_open; others may look into it, but
 * not write (-EACCES).  Then nobody else can put anything in the place of what lies there.
 */
int	dir_own(const char *path);
/*
 * Opens the file `name` in the directory dir with open's flags (if they make it: 0600), non-blocking and close-on-exec.  It
 * must be a regular file, ours, that others may not write to: -EISDIR or -EINVAL another kind, -ELOOP a symbolic link, -EPERM
 * another's, -EACCES, or -errno of open.  path: the name of dir, for dir_why().
 */
int	dir_file(int dir, const char *path, const char *name, int flags);
/* Names each socket of a node in it, "unix:PATH": nothing may answer there any more.  0, or dir_open's errors. */
int	dir_nodes(void (*one)(void *arg, const char *address), void *arg);
const char *dir_why(void);	/* "'/tmp/rota-0' belongs to uid 33"; valid in this thread until the next of these */

#endif
