a, b = 0, 1
for _ in range(int(input()) * (1 << 10) >> 10):
    a, b = b, (a + b) % (10**9 + 7)
print(a)
