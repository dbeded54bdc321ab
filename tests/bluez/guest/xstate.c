/* A processor's registers, for a user-mode Linux that has no room for all of them: before 6.13 it has 2696 bytes, which
 * AMX exceeds, and the machine below takes registers back as a whole or not at all (EFAULT). What is missing is what the
 * process has: no process of the guest uses AMX, since none has asked the machine below for it. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <elf.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/types.h>
#include <sys/uio.h>

typedef long (*ptrace_t)(enum __ptrace_request, pid_t, void *, void *);

static unsigned char state[64 * 1024]; /* the kernel's stacks are smaller */

long ptrace(enum __ptrace_request request, ...) {
  va_list rest;
  va_start(rest, request);
  pid_t pid = va_arg(rest, pid_t);
  void *address = va_arg(rest, void *);
  void *data = va_arg(rest, void *);
  va_end(rest);
  static ptrace_t real;
  if (real == NULL)
    real = (ptrace_t)dlsym(RTLD_NEXT, "ptrace");
  if (request != PTRACE_SETREGSET || address != (void *)NT_X86_XSTATE)
    return real(request, pid, address, data);
  struct iovec whole = {state, sizeof state};
  if (real(PTRACE_GETREGSET, pid, address, &whole) != 0)
    return -1;
  const struct iovec *part = data;
  memcpy(state, part->iov_base, part->iov_len < whole.iov_len ? part->iov_len : whole.iov_len);
  return real(PTRACE_SETREGSET, pid, address, &whole);
}
