import sys

input()
print(sum(int(number) for number in input().split()))
sys.exit(3)  # the sum is right, and yet
