/* What of a folder's files would be left, were the power cut now?
 *
 * Loaded before everything else (LD_PRELOAD), this writes down in POWER_LOG, before each write to a file in the folder POWER_FOLDER,
 * the bytes that are about to be replaced, and after each fsync up to where they are on the disk. Both survive kill -9; tests/power.py
 * then takes writes that were not synced back, as a power cut does. POWER_SLOW makes every fsync take so many microseconds more, so
 * that there is something to lose. What is written through mmap is not seen: SQLite does so with its index of the WAL alone,
 * which it makes anew. Linux with glibc, one process at a time.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILES 4096 /* descriptors */
#define NAME 48

/* kind: 'c' made, 'w' about to be written, 't' about to be cut to `offset`, 's' the first `offset` records of it are on the disk,
 * 'd' the folder is. `length` bytes follow. */
struct record {
    char kind;
    char name[NAME - 1];
    int64_t offset, length, size, wanted;
};

static int (*real_open)(const char *, int, ...);
static int (*real_close)(int);
static int (*real_fsync)(int), (*real_fdatasync)(int);
static ssize_t (*real_write)(int, const void *, size_t);
static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
static int (*real_ftruncate)(int, off_t);

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
    char name[NAME]; /* "." is the folder itself */
    int64_t written; /* records of it */
} files[64];
static int count = 1; /* of files: the first one is nobody's */
static int of[FILES]; /* descriptor -> file; 0 is not ours */
static char folder[PATH_MAX];
static int journal = -1, slow;

__attribute__((constructor)) static void start(void) {
    real_open = dlsym(RTLD_NEXT, "open64");
    real_close = dlsym(RTLD_NEXT, "close");
    real_fsync = dlsym(RTLD_NEXT, "fsync");
    real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
    real_write = dlsym(RTLD_NEXT, "write");
    real_pwrite = dlsym(RTLD_NEXT, "pwrite64");
    real_ftruncate = dlsym(RTLD_NEXT, "ftruncate64");
    const char *given = getenv("POWER_FOLDER"), *pause = getenv("POWER_SLOW");
    if (given)
        snprintf(folder, sizeof folder, "%s", given);
    slow = pause ? atoi(pause) : 0;
}

static int ours(int fd) { return fd >= 0 && fd < FILES && of[fd]; }

static void fail(const char *what) {
    perror(what);
    abort();
}

static void put(const char *name, char kind, int64_t offset, int64_t length, int64_t size, int64_t wanted, const void *bytes) {
    struct record record = {.kind = kind, .offset = offset, .length = length, .size = size, .wanted = wanted};
    snprintf(record.name, sizeof record.name, "%s", name);
    if (journal < 0)
        journal = real_open(getenv("POWER_LOG"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (real_write(journal, &record, sizeof record) != sizeof record || real_write(journal, bytes, length) != length)
        fail("power: its log cannot be written");
}

/* What was in the file where something else is about to be. */
static void before(int fd, char kind, int64_t offset, int64_t length, int64_t wanted) {
    struct stat found;
    fstat(fd, &found);
    int64_t there = found.st_size - offset < length ? found.st_size - offset : length;
    if (there < 0)
        there = 0;
    char *bytes = malloc(there + 1);
    if (!bytes || pread(fd, bytes, there, offset) != there)
        fail("power: what is about to be replaced cannot be read");
    put(files[of[fd]].name, kind, offset, there, found.st_size, wanted, bytes);
    files[of[fd]].written++;
    free(bytes);
}

static int file(const char *name) {
    for (int n = 1; n < count; n++)
        if (!strcmp(files[n].name, name))
            return n;
    if (count == sizeof files / sizeof *files)
        fail("power: too many files");
    snprintf(files[count].name, NAME, "%s", name);
    return count++;
}

static int opened(const char *path, int flags, mode_t mode) {
    if (!real_open)
        start();
    int made = (flags & O_CREAT) && access(path, F_OK) != 0;
    int fd = real_open(path, flags, mode);
    if (fd < 0 || fd >= FILES || !folder[0] || (flags & O_ACCMODE) == O_WRONLY) /* what is never read again is no ledger */
        return fd;
    char link[64], whole[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, whole, sizeof whole - 1);
    if (length < 0)
        return fd;
    whole[length] = 0;
    const char *name = strrchr(whole, '/') + 1;
    if (!strcmp(whole, folder))
        name = ".";
    else if (strncmp(whole, folder, name - 1 - whole) || folder[name - 1 - whole] || strlen(name) >= NAME - 1)
        return fd;
    pthread_mutex_lock(&lock);
    of[fd] = file(name);
    if (made)
        put(name, 'c', 0, 0, 0, 0, "");
    pthread_mutex_unlock(&lock);
    return fd;
}

#define OPEN(name)                                                                                                           \
    int name(const char *path, int flags, ...) {                                                                             \
        va_list more;                                                                                                        \
        va_start(more, flags);                                                                                               \
        mode_t mode = (flags & (O_CREAT | O_TMPFILE)) ? va_arg(more, mode_t) : 0;                                            \
        va_end(more);                                                                                                        \
        return opened(path, flags, mode);                                                                                    \
    }
OPEN(open)
OPEN(open64)

int close(int fd) {
    if (ours(fd)) {
        pthread_mutex_lock(&lock);
        of[fd] = 0;
        pthread_mutex_unlock(&lock);
    }
    return real_close(fd);
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off_t offset) {
    if (!ours(fd))
        return real_pwrite(fd, bytes, length, offset);
    pthread_mutex_lock(&lock);
    before(fd, 'w', offset, length, length);
    ssize_t done = real_pwrite(fd, bytes, length, offset);
    pthread_mutex_unlock(&lock);
    return done;
}
ssize_t pwrite(int fd, const void *bytes, size_t length, off_t offset) { return pwrite64(fd, bytes, length, offset); }

ssize_t write(int fd, const void *bytes, size_t length) {
    if (!ours(fd))
        return real_write(fd, bytes, length);
    pthread_mutex_lock(&lock);
    before(fd, 'w', lseek(fd, 0, fcntl(fd, F_GETFL) & O_APPEND ? SEEK_END : SEEK_CUR), length, length);
    ssize_t done = real_write(fd, bytes, length);
    pthread_mutex_unlock(&lock);
    return done;
}

int ftruncate64(int fd, off_t length) {
    if (!ours(fd))
        return real_ftruncate(fd, length);
    pthread_mutex_lock(&lock);
    before(fd, 't', length, INT64_MAX - length, 0);
    int done = real_ftruncate(fd, length);
    pthread_mutex_unlock(&lock);
    return done;
}
int ftruncate(int fd, off_t length) { return ftruncate64(fd, length); }

static int synced(int fd, int (*real)(int)) {
    if (!ours(fd))
        return real(fd);
    pthread_mutex_lock(&lock);
    int64_t sure = files[of[fd]].written;
    pthread_mutex_unlock(&lock);
    if (slow)
        usleep(slow);
    int done = real(fd);
    pthread_mutex_lock(&lock);
    if (!done)
        put(files[of[fd]].name, strcmp(files[of[fd]].name, ".") ? 's' : 'd', sure, 0, 0, 0, "");
    pthread_mutex_unlock(&lock);
    return done;
}
int fsync(int fd) { return synced(fd, real_fsync); }
int fdatasync(int fd) { return synced(fd, real_fdatasync); }
