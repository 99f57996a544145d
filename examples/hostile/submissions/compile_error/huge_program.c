int numbers[1 << 29] = {1};

int main(void)
{
    return numbers[7];
}
