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
#include <stdint.h>
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

#define NAP_NS INT64_C(20000000)

/* A signal that comes right before the system call is held back and does not interrupt it: a sleep is made of naps. */
static long
sleep_on(long (*real)(long, ...), const long a[6])
{
	const struct timespec *most = (const struct timespec *)a[3];
	int64_t left = most ? most->tv_sec * INT64_C(1000000000) + most->tv_nsec : INT64_MAX, nap;
	long r;

	do {
		nap = left < NAP_NS ? left : NAP_NS;
		r = real(SYS_futex, a[0], a[1], a[2], &(struct timespec){ .tv_nsec = nap }, a[4], a[5]);
		if (r == 0 || errno != ETIMEDOUT)
			return r;
		let_in();
		left -= most ? nap : 0;
	} while (left > 0);
	errno = ETIMEDOUT;
	return -1;
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
