# Both wait for each other to say something.
print(input())
