#include <iostream>
#include <unordered_map>

int main()
{
    int n, number;
    std::cin >> n;
    std::unordered_map<int, long long> seen;
    long long pairs = 0;
    while (n-- > 0 && std::cin >> number) {
        const auto partner = seen.find(-number);
        if (partner != seen.end())
            pairs += partner->second;
        seen[number]++;
    }
    std::cout << pairs << '\n';
}
