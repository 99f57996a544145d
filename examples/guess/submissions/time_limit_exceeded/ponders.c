#include <stdio.h>

int main(void)
{
    puts("500");
    fflush(stdout);
    for (volatile unsigned long n = 0;; n++)
        ;
}
