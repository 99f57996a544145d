#define TEN(x) x x x x x x x x x x
#define LOUD _Pragma("GCC error \"\033[31mmore and more and more and more and more and more and more\"")

int main(void)
{
    TEN(TEN(TEN(TEN(TEN(LOUD)))))
    return 0;
}
