r = float(input())
print(3.1415 * r**2, 2 * 3.1415 * r)
