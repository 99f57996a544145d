#include <stdio.h>

int main(void)
{
    char answer[16];
    printf("500\n"); /* into a pipe, so it stays in the buffer */
    return scanf("%15s", answer) != 1;
}
