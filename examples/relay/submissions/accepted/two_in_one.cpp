#include <iostream>
#include <string>

int main()
{
    std::string order, line, said;
    std::cin >> order >> line;
    if (order == "pack")
        for (size_t i = 0; i < line.size(); i += 2)
            said += "abcdefghijklmnopABCD"[i + 1 < line.size() ? 4 * (line[i] - 'a') + line[i + 1] - 'a'
                                                               : 16 + line[i] - 'a'];
    else
        for (const char sign : line)
            if (sign >= 'a')
                said += {char('a' + (sign - 'a') / 4), char('a' + (sign - 'a') % 4)};
            else
                said += char('a' + sign - 'A');
    std::cout << said << std::endl;
}
