capacity, count = map(int, input().split())
weights = [int(word) for word in input().split()]
chosen = []
for position in sorted(range(count), key=lambda i: -weights[i]):
    if weights[position] <= capacity:
        capacity -= weights[position]
        chosen.append(position + 1)
print(*chosen)
