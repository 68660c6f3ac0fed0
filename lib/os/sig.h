/* sig - dying of a signal properly, keeping signals out for a while, and not dying of a limit. */
#ifndef OS_SIG_H
#define OS_SIG_H

#include <signal.h>

_Noreturn void	sig_reraise(int sig);	/* default action, unblocked, raised: the parent sees death by sig */
void	sig_block(sigset_t *old);	/* blocks all in this thread */
void	sig_restore(const sigset_t *old);
void	sig_filesize(void);		/* what writes beyond `ulimit -f` fails with EFBIG; programs that we execute have the default */

#endif
