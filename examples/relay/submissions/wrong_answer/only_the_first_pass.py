input()
print(input()[:500])
