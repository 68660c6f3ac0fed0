/*
 * lua.c - preloaded by make tsan: lets a program with Debian's Lua run under TSan
 *
 * - liblua throws by __longjmp_chk, which TSan does not know: its picture of the stack would grow with each error and
 *   each yield, until it dies of that.
 * - TSan holds a signal back until the thread calls a function of libc that it knows.  A loop in Lua calls none, and a
 *   sleep on a futex is a bare system call: without help no task that computes or waits could be cancelled.
 */
#include <dlfcn.h>
#include <errno.h>
#include <linux/futex.h>
#include <lua.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { EVERY = 1000 };			/* instructions */

_Noreturn void	__longjmp_chk(jmp_buf env, int val);

void
__longjmp_chk(jmp_buf env, int val)
{
	longjmp(env, val);
}

static void
let_in(void)				/* what was held back */
{
	nanosleep(&(struct timespec){ 0 }, NULL);
}

/* --- loops: a hook where there is none --------------------------------------------------------------------------- */

static void
on_count(lua_State *L, lua_Debug *ar)
{
	(void)L, (void)ar;
	let_in();
}

void
lua_sethook(lua_State *L, lua_Hook f, int mask, int count)
{
	void (*real)(lua_State *, lua_Hook, int, int) = (void (*)(lua_State *, lua_Hook, int, int))dlsym(RTLD_NEXT, "lua_sethook");

	if (f && mask)
		real(L, f, mask, count);
	else
		real(L, on_count, LUA_MASKCOUNT, EVERY);
}

lua_Hook
lua_gethook(lua_State *L)
{
	lua_Hook (*real)(lua_State *) = (lua_Hook (*)(lua_State *))dlsym(RTLD_NEXT, "lua_gethook");
	lua_Hook f = real(L);

	return f == on_count ? NULL : f;
}

lua_State *
lua_newstate(lua_Alloc f, void *arg)
{
	lua_State *(*real)(lua_Alloc, void *) = (lua_State *(*)(lua_Alloc, void *))dlsym(RTLD_NEXT, "lua_newstate");
	lua_State *L = real(f, arg);

	if (L)
		lua_sethook(L, NULL, 0, 0);
	return L;
}

/* --- sleeps -------------------------------------------------------------------------------------------------------- */

#define NAP_NS 20000000

static bool
sooner(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec < b->tv_sec || (a->tv_sec == b->tv_sec && a->tv_nsec < b->tv_nsec);
}

/*
 * A signal that comes right before the system call is held back and does not interrupt it: who sleeps wakes up now and then.
 * A sleep that is over too soon is one that was woken for nothing.
 */
static long
sleep_on(long (*real)(long, ...), const long a[6])
{
	struct timespec nap = { .tv_nsec = NAP_NS }, *most = (struct timespec *)a[3];
	bool all = most && !sooner(&nap, most);
	long r;

	do
		r = real(SYS_futex, a[0], a[1], a[2], all ? most : &nap, a[4], a[5]);
	while (r < 0 && errno == ETIMEDOUT && !most && (let_in(), true));
	if (r < 0 && errno == ETIMEDOUT && !all) {
		let_in();
		errno = EINTR;
	}
	return r;
}

long
syscall(long number, ...)
{
	static long (*real)(long, ...);
	long a[6], r;
	va_list ap;

	va_start(ap, number);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(ap, long);	/* as libc's: registers, whether there is something in them or not */
	va_end(ap);
	if (!real)
		real = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
	if (number == SYS_futex && (a[1] & FUTEX_CMD_MASK) == FUTEX_WAIT)
		r = sleep_on(real, a);
	else
		r = real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
	if (r < 0 && errno == EINTR) {
		let_in();
		errno = EINTR;
	}
	return r;
}
