// Called as: talk input answer feedback_dir/ < what the team says > what the team hears
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <string>

static int judge(int code, const std::string &directory, const std::string &message)
{
    std::ofstream(directory + "judgemessage.txt") << message << std::endl;
    return code;
}

int main(int argc, char **argv)
{
    if (argc < 4)
        return 1;
    std::ifstream input(argv[1]);
    int secret;
    if (!(input >> secret))
        return 1;
    for (int guesses = 1; guesses <= 10; guesses++) {
        std::string word;
        if (!(std::cin >> word))
            return judge(43, argv[3], "the end came before guess " + std::to_string(guesses));
        char *end;
        const long guess = std::strtol(word.c_str(), &end, 10);
        if (*end || guess < 1 || guess > 1000)
            return judge(43, argv[3], "guess " + std::to_string(guesses) + " is no number from 1 to 1000");
        std::cout << (guess < secret ? "higher" : guess > secret ? "lower" : "correct") << std::endl;
        if (guess == secret)
            return judge(42, argv[3], std::to_string(guesses) + " guesses");
    }
    return judge(43, argv[3], "ten guesses were not enough");
}
