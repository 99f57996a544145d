#include <stdio.h>

int main(void)
{
    long long n;
    unsigned a = 0, b = 1;
    if (scanf("%lld", &n) != 1)
        return 1;
    while (n-- > 0) {
        const unsigned next = (a + b) % 1000000007;
        a = b;
        b = next;
    }
    printf("%u\n", a);
    return 0;
}
