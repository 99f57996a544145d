P = 10**9 + 7


def pair(n):
    if n == 0:
        return 0, 1
    a, b = pair(n // 2)
    c, d = a * (2 * b - a) % P, (a * a + b * b) % P
    return (d, (c + d) % P) if n % 2 else (c, d)


print(pair(int(input()))[0])
