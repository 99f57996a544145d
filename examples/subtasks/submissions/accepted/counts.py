from collections import Counter

input()
seen: Counter[int] = Counter()
pairs = 0
for number in map(int, input().split()):
    pairs += seen[-number]
    seen[number] += 1
print(pairs)
