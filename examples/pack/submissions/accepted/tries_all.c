#include <stdio.h>

int main(void)
{
    int capacity, n, weights[20], best = 0, found = 0;
    if (scanf("%d %d", &capacity, &n) != 2)
        return 1;
    for (int i = 0; i < n; i++)
        if (scanf("%d", &weights[i]) != 1)
            return 1;
    for (int set = 1; set < 1 << n; set++) {
        int weight = 0;
        for (int i = 0; i < n; i++)
            weight += set >> i & 1 ? weights[i] : 0;
        if (weight <= capacity && weight > best)
            best = weight, found = set;
    }
    for (int i = 0; i < n; i++)
        if (found >> i & 1)
            printf("%d\n", i + 1);
    return 0;
}
