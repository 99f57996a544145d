// Two to the 800th instances.
template <int depth, int side> struct Bomb {
    static constexpr int value = Bomb<depth - 1, 2 * side>::value + Bomb<depth - 1, 2 * side + 1>::value;
};

int main()
{
    return Bomb<800, 0>::value;
}
