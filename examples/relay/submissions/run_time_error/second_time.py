order, line = input(), input()
if order == "unpack":
    raise SystemExit(7)
print("x")
