input()
numbers = [int(word) for word in input().split()]
print(sum(numbers.count(-number) for number in set(numbers) if number >= 0))
