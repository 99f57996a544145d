#include <unistd.h>

int main(void)
{
    static const char line[4096] = "7\n";
    while (write(1, line, sizeof line) > 0)
        ;
    return 0;
}
