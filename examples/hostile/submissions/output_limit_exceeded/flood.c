#include <stdio.h>

int main(void)
{
    for (;;)
        puts("\033[31mmore and more and more and more and more and more and more and more and more");
}
