#include <iostream>

int main()
{
    int n;
    for (std::cin >> n; n > 0; n--)
        std::cout << n << ' ';
    std::cout << 0 << std::endl;
}
