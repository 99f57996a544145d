#include <stdio.h>
#include <sys/mount.h>

int main(void)
{
    mount("none", "/", 0, MS_REC | MS_PRIVATE, 0);
    puts("never said");
    return 0;
}
