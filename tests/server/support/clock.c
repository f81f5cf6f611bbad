// The clock of a server that a test drives. A server with this library in LD_PRELOAD shows the time in the file
// AUTHLIMIT_TEST_CLOCK, 8 bytes of milliseconds since the Unix epoch, instead of the machine's. Its timers go on by the
// machine's monotonic clock.
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

// No function here allocates, because the server's allocator asks for the time as well.
static uint64_t now(void) {
    static volatile uint64_t *millis;
    if (!millis) {
        const char *path = getenv("AUTHLIMIT_TEST_CLOCK");
        int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
        void *page = file < 0 ? MAP_FAILED : mmap(NULL, sizeof *millis, PROT_READ, MAP_SHARED, file, 0);
        if (page == MAP_FAILED) abort();
        close(file);
        millis = page;
    }
    return *millis;
}

int clock_gettime(clockid_t clock, struct timespec *time) {
    if (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE) return syscall(SYS_clock_gettime, clock, time);
    uint64_t millis = now();
    time->tv_sec = millis / 1000;
    time->tv_nsec = millis % 1000 * 1000000;
    return 0;
}

int gettimeofday(struct timeval *restrict time, void *restrict zone) {
    (void)zone;
    uint64_t millis = now();
    time->tv_sec = millis / 1000;
    time->tv_usec = millis % 1000 * 1000;
    return 0;
}

time_t time(time_t *time) {
    time_t seconds = now() / 1000;
    if (time) *time = seconds;
    return seconds;
}
