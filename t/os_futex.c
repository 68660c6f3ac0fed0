/* os_futex.c - a sleeper in another process is woken; a changed word, a limit and a signal end the wait */
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include "tap.h"
#include "base/clock.h"
#include "os/futex.h"

static void
on_alarm(int sig)
{
	(void)sig;
}

int
main(void)
{
	_Atomic uint32_t *w = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct sigaction sa = { .sa_handler = on_alarm };
	uint64_t t = clock_ns();
	int st, e, woken;

	ok(futex_wait(w, 1, -1) == -EAGAIN);
	ok(futex_wait(w, 0, 1000000) == -ETIMEDOUT && clock_ns() - t >= 1000000);
	ok(futex_wait(w, 0, 0) == -ETIMEDOUT);
	ok(futex_wake(w, INT_MAX) == 0);
	if (fork() == 0) {
		while (*w == 0)
			if ((e = futex_wait(w, 0, -1)) != 0 && e != -EAGAIN)
				_exit(1);
		_exit(*w == 5 ? 0 : 2);
	}
	while ((woken = futex_wake(w, 1)) == 0)		/* until it sleeps; it finds 0 and sleeps again */
		;
	ok(woken == 1);
	*w = 5;
	futex_wake(w, 1);
	ok(wait(&st) > 0 && st == 0);
	*w = 0;
	sigaction(SIGALRM, &sa, NULL);
	ualarm(2000, 2000);				/* again and again, should the first come too early */
	ok(futex_wait(w, 0, -1) == -EINTR);
	return tap_done();
}
