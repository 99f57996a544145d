n = int(input())
print(48271 * n % 2147483647)
