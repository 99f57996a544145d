#include <iostream>

int main()
{
    std::cout << sum << std::endl
}
