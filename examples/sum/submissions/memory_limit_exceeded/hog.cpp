#include <cstdio>
#include <cstring>
#include <cstdlib>

int main()
{
    const size_t piece = 16u << 20;
    for (int i = 0; i < 64; i++) {
        char *memory = static_cast<char *>(std::malloc(piece));
        if (!memory)
            return 1;
        std::memset(memory, i + 1, piece);
    }
    std::puts("had it all");
}
