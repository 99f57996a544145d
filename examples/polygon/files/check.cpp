// check input output answer: exits as testlib's checkers do, without testlib.
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <string>

enum { OK = 0, WRONG = 1, PRESENTATION = 2, FAIL = 3 };

static int end(int code, const std::string &message)
{
    std::cerr << message << std::endl;
    return code;
}

int main(int argc, char **argv)
{
    if (argc < 4)
        return end(FAIL, "check input output answer");
    std::ifstream output(argv[2]), answer(argv[3]);
    if (!output || !answer)
        return end(FAIL, "a file is missing");
    std::string wanted, got;
    for (int place = 1; answer >> wanted; place++) {
        if (!(output >> got))
            return end(WRONG, "number " + std::to_string(place) + " is missing");
        char *rest;
        std::strtol(got.c_str(), &rest, 10);
        if (*rest)
            return end(PRESENTATION, "word " + std::to_string(place) + " is not a number");
        if (got != wanted)
            return end(WRONG, "number " + std::to_string(place) + " differs");
    }
    return output >> got ? end(PRESENTATION, "there is more after the last number") : end(OK, "all equal");
}
