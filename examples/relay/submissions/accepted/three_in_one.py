SIGNS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-"
order, line = input(), input()
if order == "pack":
    padded = line + "a" * (-len(line) % 3)
    digits = ["abcd".index(letter) for letter in padded]
    signs = [SIGNS[16 * a + 4 * b + c] for a, b, c in zip(digits[::3], digits[1::3], digits[2::3], strict=True)]
    print(str(len(padded) - len(line)) + "".join(signs))
else:
    numbers = [SIGNS.index(sign) for sign in line[1:]]
    letters = "".join("abcd"[n // 16] + "abcd"[n // 4 % 4] + "abcd"[n % 4] for n in numbers)
    print(letters[: len(letters) - int(line[0])])
