#include <stdio.h>

int main(void)
{
    int n;
    int sum = 0, number;
    if (scanf("%d", &n) != 1)
        return 1;
    while (n-- > 0 && scanf("%d", &number) == 1)
        sum += number;
    printf("%d\n", sum);
    return 0;
}
