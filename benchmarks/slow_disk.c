/* A disk on which each fdatasync takes SLOW_DISK_US microseconds longer: LD_PRELOAD it below PostgreSQL. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>

int fdatasync(int descriptor)
{
    static int (*real)(int);
    static unsigned delay;
    if (!real) {
        const char *given = getenv("SLOW_DISK_US");
        delay = given ? (unsigned)atoi(given) : 0;
        real = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    }
    if (delay)
        usleep(delay);
    return real(descriptor);
}
