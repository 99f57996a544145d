#include <iostream>

int main()
{
    std::cout << "hello, who is there?" << std::endl;
    std::string answer;
    std::cin >> answer;
}
