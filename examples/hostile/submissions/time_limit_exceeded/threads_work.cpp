#include <thread>

static void work()
{
    for (volatile unsigned long n = 0;; n++)
        ;
}

int main()
{
    std::thread(work).detach();
    std::thread(work).detach();
    std::thread(work).join();
}
