// Two to the sixtieth instances.
template <int depth, unsigned long side> struct Bomb {
    static constexpr int value = Bomb<depth - 1, 2 * side>::value | Bomb<depth - 1, 2 * side + 1>::value;
};
template <unsigned long side> struct Bomb<0, side> {
    static constexpr int value = 0;
};

int main()
{
    return Bomb<60, 0>::value;
}
