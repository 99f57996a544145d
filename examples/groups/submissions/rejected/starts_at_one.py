a, b = 1, 1
for _ in range(min(int(input()), 100)):
    a, b = b, (a + b) % (10**9 + 7)
print(a)
