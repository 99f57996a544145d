# Too slow for the second group: 200 million pairs.
input()
numbers = [int(word) for word in input().split()]
print(sum(a + b == 0 for i, a in enumerate(numbers) for b in numbers[:i]))
