#include "../../data/secret/1.ans"
#include "../data/secret/1.ans"
#include "/data/secret/1.ans"
#include "data/secret/1.ans"

int main(void)
{
    return 0;
}
