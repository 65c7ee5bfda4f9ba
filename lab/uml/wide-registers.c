/*
 * Preloaded into user-mode-linux on processors whose register state is larger than that kernel knows.
 *
 * It keeps 2696 bytes of a process's XSAVE area, all of AVX-512, and sets the registers with that many. The host wants the area
 * whole (EFAULT), which is 11 kB where the processor has AMX. What is missing is state that nothing inside has in use: zeros do.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <elf.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/types.h>
#include <sys/uio.h>

/* The host takes what it needs of it. User-mode-linux has one thread that calls ptrace. */
static char whole[65536] __attribute__((aligned(64)));

long ptrace(enum __ptrace_request request, ...)
{
	static long (*original)(enum __ptrace_request, ...);
	va_list arguments;

	va_start(arguments, request);
	pid_t pid = va_arg(arguments, pid_t);
	void *address = va_arg(arguments, void *);
	void *data = va_arg(arguments, void *);
	va_end(arguments);

	if (original == NULL)
		original = (long (*)(enum __ptrace_request, ...))dlsym(RTLD_NEXT, "ptrace");
	if (request != PTRACE_SETREGSET || (long)address != NT_X86_XSTATE)
		return original(request, pid, address, data);

	const struct iovec *known = data;
	if (known->iov_len >= sizeof whole)
		return original(request, pid, address, data);
	memcpy(whole, known->iov_base, known->iov_len);
	memset(whole + known->iov_len, 0, sizeof whole - known->iov_len);
	struct iovec padded = { whole, sizeof whole };
	return original(request, pid, address, &padded);
}
