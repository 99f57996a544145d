#include <stdio.h>

/* Room for the first group only. */
int main(void)
{
    static int numbers[100];
    int n, pairs = 0;
    if (scanf("%d", &n) != 1 || n > 100)
        return 1;
    for (int i = 0; i < n; i++) {
        if (scanf("%d", &numbers[i]) != 1)
            return 1;
        for (int j = 0; j < i; j++)
            pairs += numbers[i] + numbers[j] == 0;
    }
    printf("%d\n", pairs);
    return 0;
}
