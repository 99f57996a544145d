int main()
{
    for (volatile unsigned n = 1; n; n |= 1)
        ;
}
