/* Makes each fdatasync take SLOW_DISK_US microseconds longer: to be preloaded (LD_PRELOAD) into PostgreSQL. */
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
