/* Memory that belongs to no process. */
#define _GNU_SOURCE
#include <sys/mman.h>
#include <unistd.h>

int main(void)
{
    static const char full[1 << 20] = {1};
    const int fd = memfd_create("hog", 0);
    while (write(fd, full, sizeof full) > 0)
        ;
    return 1;
}
