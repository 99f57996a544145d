/* As a judge would that is over a limit. */
#include <signal.h>
#include <unistd.h>

int main(void)
{
    kill(getpid(), SIGKILL);
    return 0;
}
