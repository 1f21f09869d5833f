// The clock of one process, moved by what a file says; for LD_PRELOAD.
//
// The file $CHAOS_CLOCKS/<process id> holds one 64-bit number: by how many nanoseconds the time of
// day differs from the machine's. As when the kernel's clock is set, it counts for who waits until
// a time of day, too, also when that began before; monotonic clocks never jump.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

#define SECOND 1000000000LL
#define SLICE (SECOND / 5) // after so long a jump is noticed
#define OF_DAY 1000000000 // s; what is earlier counts from the start of the machine

static const volatile int64_t nothing, *by = &nothing;

__attribute__((constructor)) static void begin(void) {
  const char *folder = getenv("CHAOS_CLOCKS");
  char path[4096];
  if (!folder) return;
  snprintf(path, sizeof path, "%s/%d", folder, getpid());
  int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0 || ftruncate(file, sizeof *by)) return;
  void *found = mmap(0, sizeof *by, PROT_READ, MAP_SHARED, file, 0);
  if (found != MAP_FAILED) by = found;
  close(file);
}

static int64_t number(const struct timespec *at) { return at->tv_sec * SECOND + at->tv_nsec; }

static struct timespec spec(int64_t at) {
  return (struct timespec){.tv_sec = at / SECOND, .tv_nsec = at % SECOND};
}

static int ask(clockid_t clock, struct timespec *at) {
  static int (*machine)(clockid_t, struct timespec *);
  if (!machine) machine = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
  return machine(clock, at);
}

static int64_t real(void) {
  struct timespec at;
  ask(CLOCK_REALTIME, &at);
  return number(&at);
}

int clock_gettime(clockid_t clock, struct timespec *at) {
  int failed = ask(clock, at);
  if (!failed && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
    *at = spec(number(at) + *by);
  return failed;
}

int gettimeofday(struct timeval *restrict at, void *restrict zone) {
  struct timespec now = spec(real() + *by);
  (void)zone;
  *at = (struct timeval){.tv_sec = now.tv_sec, .tv_usec = now.tv_nsec / 1000};
  return 0;
}

time_t time(time_t *at) {
  time_t now = (real() + *by) / SECOND;
  if (at) *at = now;
  return now;
}

int timespec_get(struct timespec *at, int base) {
  if (base != TIME_UTC) return 0;
  *at = spec(real() + *by);
  return base;
}

// Do ONCE, which waits until `slice` by the machine's clock, until it is `until` by this one.
#define WAIT(ONCE)                                                   \
  for (;;) {                                                         \
    int64_t now = real(), left = number(until) - (now + *by);        \
    struct timespec slice = spec(now + (left < SLICE ? left : SLICE)); \
    int ended = ONCE;                                                \
    if (ended != ETIMEDOUT || left <= SLICE) return ended;           \
  }

int pthread_cond_timedwait(pthread_cond_t *restrict one, pthread_mutex_t *restrict lock,
                           const struct timespec *restrict until) {
  if (until->tv_sec < OF_DAY) return pthread_cond_clockwait(one, lock, CLOCK_MONOTONIC, until);
  WAIT(pthread_cond_clockwait(one, lock, CLOCK_REALTIME, &slice))
}

// librdkafka waits by the threads of C11, which are those of POSIX in glibc.
int cnd_timedwait(cnd_t *restrict one, mtx_t *restrict lock, const struct timespec *restrict until) {
  int ended = pthread_cond_timedwait((pthread_cond_t *)one, (pthread_mutex_t *)lock, until);
  return ended == 0 ? thrd_success : ended == ETIMEDOUT ? thrd_timedout : thrd_error;
}

int pthread_mutex_timedlock(pthread_mutex_t *restrict lock, const struct timespec *restrict until) {
  WAIT(pthread_mutex_clocklock(lock, CLOCK_REALTIME, &slice))
}

static int await(sem_t *one, const struct timespec *until) {
  WAIT(sem_clockwait(one, CLOCK_REALTIME, &slice) ? errno : 0)
}

int sem_timedwait(sem_t *restrict one, const struct timespec *restrict until) {
  errno = await(one, until);
  return errno ? -1 : 0;
}
