#include <stdio.h>

int main(void)
{
    puts("accepted");
    return 42;
}
