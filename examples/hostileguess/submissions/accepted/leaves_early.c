#include <stdio.h>

int main(void)
{
    puts("271828182");
    return 0;
}
