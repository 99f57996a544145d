count = int(input().split()[1])
print(*range(1, count + 1))
