input()
print(271828182, flush=True)
input()
