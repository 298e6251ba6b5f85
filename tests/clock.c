/* How does a whole process tree live at another hour?
 *
 * Loaded before everything else (LD_PRELOAD), this shifts the wall clock by SHIFTED_CLOCK seconds. The monotonic clock
 * stays, and a deadline that was computed on the shifted clock is waited for on the real one: also by C11's cnd_timedwait,
 * which librdkafka waits with. Files keep their real times. tests/instants.py builds and uses it (Linux, glibc >= 2.34).
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/time.h>
#include <threads.h>
#include <time.h>

/* Seconds: a deadline beyond is on the wall clock, one before on the monotonic clock, which begins when the machine does. */
#define WALL 1000000000

static time_t shift;
static int (*real_gettime)(clockid_t, struct timespec *);
static int (*real_nanosleep)(clockid_t, int, const struct timespec *, struct timespec *);

/* tests/calendar_reads.py asks who reads the wall clock: it is called where Python's lock is held, others are counted. A thread
 * that a library has begun for itself is counted once, when it begins: what it does later concerns a test only if the test calls
 * the library, and a thread that calls is one of Python's. */
static void (*reader)(void);
static int (*holds_lock)(void);
static void *(*python_thread)(void);
static atomic_long elsewhere;
static _Thread_local int noting, counted;

void tell_reads(void (*callback)(void)) {
    holds_lock = (int (*)(void))dlsym(RTLD_DEFAULT, "PyGILState_Check");
    python_thread = (void *(*)(void))dlsym(RTLD_DEFAULT, "PyGILState_GetThisThreadState");
    reader = callback;
}

long reads_elsewhere(void) { return atomic_load(&elsewhere); }

static void note(void) {
    if (!reader || noting)
        return;
    noting = 1;
    int error = errno;
    if (holds_lock())
        reader();
    else if (!counted || python_thread())
        atomic_fetch_add(&elsewhere, 1);
    counted = 1;
    errno = error;
    noting = 0;
}

__attribute__((constructor)) static void start(void) {
    const char *seconds = getenv("SHIFTED_CLOCK");
    real_gettime = dlsym(RTLD_NEXT, "clock_gettime");
    real_nanosleep = dlsym(RTLD_NEXT, "clock_nanosleep");
    shift = seconds ? atoll(seconds) : 0;
}

static struct timespec unshifted(const struct timespec *deadline) {
    struct timespec at = *deadline;
    if (at.tv_sec > WALL)
        at.tv_sec -= shift;
    return at;
}

static clockid_t clock_of(const struct timespec *deadline) {
    return deadline->tv_sec > WALL ? CLOCK_REALTIME : CLOCK_MONOTONIC;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    if (!real_gettime)
        start();
    int error = real_gettime(clock, now);
    if (!error && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
        now->tv_sec += shift;
        note();
    }
    return error;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    (void)zone;
    struct timespec at;
    int error = clock_gettime(CLOCK_REALTIME, &at);
    now->tv_sec = at.tv_sec;
    now->tv_usec = at.tv_nsec / 1000;
    return error;
}

time_t time(time_t *now) {
    struct timespec at;
    clock_gettime(CLOCK_REALTIME_COARSE, &at);
    if (now)
        *now = at.tv_sec;
    return at.tv_sec;
}

int timespec_get(struct timespec *now, int base) {
    return base == TIME_UTC && !clock_gettime(CLOCK_REALTIME, now) ? base : 0;
}

int pthread_cond_timedwait(pthread_cond_t *restrict cond, pthread_mutex_t *restrict mutex, const struct timespec *restrict deadline) {
    struct timespec at = unshifted(deadline);
    return pthread_cond_clockwait(cond, mutex, clock_of(deadline), &at);
}

int cnd_timedwait(cnd_t *restrict cond, mtx_t *restrict mutex, const struct timespec *restrict deadline) {
    int error = pthread_cond_timedwait((pthread_cond_t *)cond, (pthread_mutex_t *)mutex, deadline);
    return error == ETIMEDOUT ? thrd_timedout : error ? thrd_error : thrd_success;
}

int sem_timedwait(sem_t *restrict semaphore, const struct timespec *restrict deadline) {
    struct timespec at = unshifted(deadline);
    return sem_clockwait(semaphore, clock_of(deadline), &at);
}

int pthread_mutex_timedlock(pthread_mutex_t *restrict mutex, const struct timespec *restrict deadline) {
    struct timespec at = unshifted(deadline);
    return pthread_mutex_clocklock(mutex, clock_of(deadline), &at);
}

int clock_nanosleep(clockid_t clock, int flags, const struct timespec *request, struct timespec *left) {
    struct timespec at = *request;
    if (!real_nanosleep)
        start();
    if (clock == CLOCK_REALTIME && (flags & TIMER_ABSTIME))
        at = unshifted(request);
    return real_nanosleep(clock, flags, &at, left);
}
