print(*range(int(input()), -1, -1), sep=", ")
