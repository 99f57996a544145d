#include <stdio.h>

int main(void)
{
    puts("nan nan");
    return 0;
}
